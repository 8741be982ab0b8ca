import type { Ticket } from '../core/delivery.ts';
import type { Wake } from '../core/notifier.ts';

export type ReceiveTickets = (tickets: readonly Ticket[]) => void;

/**
 * Wakes dispatchers: "this delivery is due". The database is the truth; a queue may lose tickets, repeat
 * them, or hand them over late, and every delivery is still made, because the sweeper finds what is due.
 */
export interface DeliveryQueue {
  /**
   * How long the ticket of a fresh delivery may be on its way to this process before the sweeper looks for the
   * delivery, in milliseconds. 0 where tickets do not travel, or none reach this process at the moment.
   */
  readonly visibilityMs: number;
  /**
   * True while what other processes publish reaches this one. While it is false, a process that makes deliveries is
   * told of none, and finds them in the database only: it should not wait for tickets that may never come.
   */
  readonly isConsuming: boolean;
  /** Never rejects: a ticket that cannot be published is one for the sweeper. */
  publish(tickets: readonly Ticket[]): Promise<void>;
  /**
   * There is one receiver in a process.
   *
   * @param receive gets every ticket from now on.
   * @param wake is called when something may be due that has no ticket.
   */
  subscribe(receive: ReceiveTickets, wake?: Wake): Promise<void>;
  /** No ticket is received after it resolves. May be called more than once. */
  stop(): Promise<void>;
}

/** What a queue between processes has to say; the log is not its business. */
export interface QueueTelemetry {
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
