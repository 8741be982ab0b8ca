/** How much is measured. Many short rounds even out the noise of a machine better than a few long ones. */
export interface Sizes {
  readonly rounds: number;
  /** Connections that post at the same time. */
  readonly connections: number;
  readonly acceptSeconds: number;
  readonly warmUpSeconds: number;
  readonly backlogEvents: number;
  readonly warmUpEvents: number;
  readonly latencySeconds: number;
  readonly latencyPerSecond: number;
  readonly idleSeconds: number;
  readonly idlePerSecond: number;
  /** For the count of statements. */
  readonly statementEvents: number;
  /** Of each build, where two are compared. */
  readonly mixedRounds: number;
  readonly mixedSeconds: number;
  readonly mixedDestinations: number;
  /** Events that have been delivered before the mixed load begins. */
  readonly finishedEvents: number;
  readonly manyAccounts: number;
  /** Of each account. */
  readonly manyDestinations: number;
  /** Deliveries that wait for each of many destinations. */
  readonly manyPending: number;
}

export const FULL: Sizes = {
  rounds: 7,
  connections: 64,
  acceptSeconds: 2,
  warmUpSeconds: 2,
  backlogEvents: 4_000,
  warmUpEvents: 2_000,
  latencySeconds: 2,
  latencyPerSecond: 50,
  idleSeconds: 15,
  idlePerSecond: 2,
  statementEvents: 20_000,
  mixedRounds: 1,
  mixedSeconds: 15,
  mixedDestinations: 1,
  finishedEvents: 0,
  manyAccounts: 100,
  manyDestinations: 100,
  manyPending: 100,
};

/** Shows that everything works, in a few seconds; the figures say little. */
export const SMOKE: Sizes = {
  rounds: 1,
  connections: 16,
  acceptSeconds: 1,
  warmUpSeconds: 0,
  backlogEvents: 500,
  warmUpEvents: 0,
  latencySeconds: 1,
  latencyPerSecond: 50,
  idleSeconds: 2,
  idlePerSecond: 2,
  statementEvents: 500,
  mixedRounds: 1,
  mixedSeconds: 3,
  mixedDestinations: 1,
  finishedEvents: 0,
  manyAccounts: 5,
  manyDestinations: 10,
  manyPending: 10,
};
