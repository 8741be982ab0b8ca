import type { Ticket } from '../core/delivery.ts';
import type { Wake } from '../core/notifier.ts';

export type ReceiveTickets = (tickets: readonly Ticket[]) => void;

/**
 * Wakes dispatchers when deliveries are due. The database is the source of truth: a queue may lose, repeat or delay
 * tickets, and every delivery is still made, because the sweeper finds the due ones.
 */
export interface DeliveryQueue {
  /**
   * How long the ticket of a fresh delivery may take to reach this process before the sweeper looks for the delivery,
   * in milliseconds. 0 if tickets do not leave their process, or none reach this one at the moment.
   */
  readonly visibilityMs: number;
  /**
   * True while the tickets of other processes reach this one. While it is false, a dispatching process finds
   * deliveries in the database only, and should not wait for tickets that may never come.
   */
  readonly isConsuming: boolean;
  /** Never rejects. If a ticket cannot be published, the sweeper finds its delivery. */
  publish(tickets: readonly Ticket[]): Promise<void>;
  /**
   * A process has one receiver.
   *
   * @param receive gets every ticket from now on
   * @param wake called when deliveries without a ticket may be due
   */
  subscribe(receive: ReceiveTickets, wake?: Wake): Promise<void>;
  /** After it resolves, no ticket is received. May be called more than once. */
  stop(): Promise<void>;
}

/** Events of a queue between processes, for the log. */
export interface QueueTelemetry {
  /** For each new connection. */
  queueConnected(fact: { use: QueueUse }): void;
  /** For each failed attempt. Deliveries continue through the database. `reason` is one line of text. */
  queueUnavailable(fact: { use: QueueUse; reason: string }): void;
  /** These tickets are announced through the database instead. */
  ticketsNotPublished(fact: { tickets: number; reason: string }): void;
  /** This version cannot read the message. */
  queueMessageDropped(fact: { reason: string }): void;
}

export type QueueUse = 'publish' | 'consume';
