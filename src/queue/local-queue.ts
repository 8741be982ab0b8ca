import type { Ticket } from '../core/ticket.ts';
import type { DeliveryQueue } from './delivery-queue.ts';

/** The queue of a process that both accepts and dispatches: hands tickets over, and holds none itself. */
export class LocalQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  #receive: ((tickets: readonly Ticket[]) => void) | undefined;

  async publish(tickets: readonly Ticket[]): Promise<void> {
    this.#receive?.(tickets);
  }

  async subscribe(receive: (tickets: readonly Ticket[]) => void): Promise<void> {
    this.#receive = receive;
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
  }
}
