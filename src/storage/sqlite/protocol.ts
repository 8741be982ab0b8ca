/** What the thread of a connection is begun with. */
export interface Opening {
  readonly path: string;
  readonly isForReading: boolean;
}

/** What the main thread asks of the thread of the connection. */
export type Request =
  | { readonly kind: 'statement'; readonly id: number; readonly statement: PlainStatement }
  /** All of them between `begin` and `commit`, or none. Waits while another transaction is open. */
  | { readonly kind: 'transaction'; readonly id: number; readonly steps: readonly Step[] }
  | { readonly kind: 'close' };

export type Step = PlainStatement | StoreEvents;

export interface PlainStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Stores events with their fan-out, row by row. */
export interface StoreEvents {
  readonly procedure: 'store events';
  /** An `EventRow[]` as JSON, which passes between threads at less cost than the rows themselves. */
  readonly rows: string;
  /** All payloads end to end. The thread releases the memory, unless it is shared. */
  readonly payloads: Uint8Array<ArrayBuffer | SharedArrayBuffer>;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

export type EventRow = readonly [
  id: string,
  tokenHash: string,
  receivedAt: number,
  idempotencyKey: string | null,
  hops: number,
  /** Where the payload is. */
  start: number,
  end: number,
];

/** What `StoreEvents` answers, as its only row. */
export interface StoredEvents {
  readonly senders: readonly (readonly [tokenHash: string, accountId: string, destinationIds: readonly string[]])[];
  /** The places of events whose key another event of the account has. */
  readonly taken: readonly number[];
}

export interface StatementResult {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

/** @property id of the request */
export type Reply = { readonly id: number } & (
  | { readonly results: readonly StatementResult[] }
  | { readonly message: string; readonly code: string | undefined }
);
