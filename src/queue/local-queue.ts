import type { Ticket } from '../core/delivery.ts';
import type { DeliveryQueue, ReceiveTickets } from './delivery-queue.ts';

/** The queue of a process that both accepts events and dispatches. It passes tickets on and holds none. */
export class LocalQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  #receive: ReceiveTickets | undefined;

  get isConsuming(): boolean {
    return this.#receive !== undefined;
  }

  async publish(tickets: readonly Ticket[]): Promise<void> {
    this.#receive?.(tickets);
  }

  async subscribe(receive: ReceiveTickets): Promise<void> {
    this.#receive = receive;
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
  }
}
