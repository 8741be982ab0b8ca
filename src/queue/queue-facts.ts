/** What a queue between processes has to say; the log is not its business. */
export interface QueueFacts {
  /** Said for each new connection. */
  queueConnected(fact: { use: QueueUse }): void;
  /** Said for each attempt that fails: deliveries go on by the database. `reason` is one line of plain words. */
  queueUnavailable(fact: { use: QueueUse; reason: string }): void;
  /** They go by the database. */
  ticketsNotPublished(fact: { tickets: number; reason: string }): void;
  /** A message that cannot be understood, by this version at least. */
  queueMessageDropped(fact: { reason: string }): void;
}

export type QueueUse = 'publish' | 'consume';
