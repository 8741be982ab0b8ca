import type { TicketLane } from '../core/delivery.ts';

/** Asks for destinations with pending deliveries, in the order of their ids. */
export interface LaneSearch {
  /** The last id of the search before; the empty text at the beginning. */
  readonly after: string;
  /** Of destinations. */
  readonly limit: number;
  /** Fresh deliveries that became due less than so many milliseconds ago are left to their tickets. */
  readonly graceMs: number;
}

export interface FoundLane {
  readonly destinationId: string;
  /** `null` for a destination that was deleted. */
  readonly accountId: string | null;
  /** The kind of its oldest delivery that can be claimed now; `null` when there is none. */
  readonly due: 'fresh' | 'retries' | null;
  /** The lowest lost count among its deliveries whose lease ran out; `null` when there are none. */
  readonly lost: number | null;
}

export interface RetrySearch {
  /** Retries that were due by then are passed over. Milliseconds since the Unix epoch. */
  readonly after: number;
  readonly limit: number;
}

export interface FoundRetry extends TicketLane {
  /** Milliseconds since the Unix epoch. */
  readonly dueAt: number;
}
