import type { Ticket } from '../core/ticket.ts';
import type { DeliveryQueue, ReceiveTickets } from './delivery-queue.ts';

/** A bell that rings in every process that listens: PostgreSQL's NOTIFY and LISTEN. May be lost, never rejects. */
export interface Bell {
  readonly isListening: boolean;
  ring(): Promise<void>;
  listen(wake: () => void): Promise<void>;
  stop(): Promise<void>;
}

/**
 * The queue of processes that share a database and nothing else. A process that dispatches takes its own
 * tickets; one that only accepts rings, and the workers look for what is due. Several rings at once are one.
 * A process that stops rings for what its last requests have brought.
 */
export class NotifyQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  readonly #bell: Bell;
  #receive: ReceiveTickets | undefined;
  #isRinging = false;
  #mustRingAgain = false;

  constructor(bell: Bell) {
    this.#bell = bell;
  }

  get isConsuming(): boolean {
    return this.#receive !== undefined && this.#bell.isListening;
  }

  async publish(tickets: readonly Ticket[]): Promise<void> {
    if (this.#receive !== undefined) {
      this.#receive(tickets);
    } else if (tickets.length > 0) {
      await this.#ring();
    }
  }

  async subscribe(receive: ReceiveTickets, wake: () => void = () => {}): Promise<void> {
    this.#receive = receive;
    await this.#bell.listen(wake);
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
    await this.#bell.stop();
  }

  async #ring(): Promise<void> {
    if (this.#isRinging) {
      this.#mustRingAgain = true;
      return;
    }
    this.#isRinging = true;
    do {
      this.#mustRingAgain = false;
      await this.#bell.ring();
    } while (this.#mustRingAgain);
    this.#isRinging = false;
  }
}
