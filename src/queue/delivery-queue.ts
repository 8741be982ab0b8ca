import type { Ticket } from '../core/ticket.ts';

/**
 * Wakes dispatchers: "this delivery is due". The database is the truth; a queue may lose tickets, repeat
 * them, or hand them over late, and every delivery is still made, because the sweeper finds what is due.
 */
export interface DeliveryQueue {
  /**
   * How long a ticket may be on its way before the sweeper writes another for the same delivery, in
   * milliseconds. 0 where the dispatcher itself knows all tickets that exist.
   */
  readonly visibilityMs: number;
  /** Never rejects: a ticket that cannot be published is one for the sweeper. */
  publish(tickets: readonly Ticket[]): Promise<void>;
  /** @param receive gets every ticket from now on; there is one receiver in a process. */
  subscribe(receive: (tickets: readonly Ticket[]) => void): Promise<void>;
  /** No ticket is received after it resolves. May be called more than once. */
  stop(): Promise<void>;
}
