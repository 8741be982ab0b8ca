import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { DeliveryQueue, ReceiveTickets, Wake } from './delivery-queue.ts';

/** A bell that rings in every process that listens: PostgreSQL's NOTIFY and LISTEN. May be lost, never rejects. */
export interface Bell {
  readonly isListening: boolean;
  /** Without lanes, or with too many of them: look everywhere. */
  ring(lanes?: readonly TicketLane[]): Promise<void>;
  listen(wake: Wake): Promise<void>;
  stop(): Promise<void>;
}

/** More than a ring can name: then the listeners look everywhere. */
const LANES_MAX = 100;

/**
 * The queue of processes that share a database and nothing else. A process that dispatches takes its own
 * tickets; one that only accepts rings, and the workers look for what is due. Several rings at once are one.
 * A process that stops rings for what its last requests have brought.
 */
export class NotifyQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  readonly #bell: Bell;
  #receive: ReceiveTickets | undefined;
  #ringing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** What the next ring is for, by destination. */
  #lanes = new Map<string, TicketLane>();

  constructor(bell: Bell) {
    this.#bell = bell;
  }

  get isConsuming(): boolean {
    return this.#receive !== undefined && this.#bell.isListening;
  }

  async publish(tickets: readonly Ticket[]): Promise<void> {
    if (this.#receive !== undefined) {
      this.#receive(tickets);
      return;
    }
    for (const { destinationId, accountId } of tickets) {
      if (this.#lanes.size >= LANES_MAX) {
        break;
      }
      this.#lanes.set(destinationId, { destinationId, accountId });
    }
    if (this.#lanes.size > 0) {
      await this.#ringNext();
    }
  }

  async subscribe(receive: ReceiveTickets, wake: Wake = () => {}): Promise<void> {
    this.#receive = receive;
    await this.#bell.listen(wake);
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
    await this.#bell.stop();
  }

  /** After the ring that is under way, once for all that ask meanwhile. */
  #ringNext(): Promise<void> {
    if (this.#next === undefined) {
      this.#ringing = this.#ringing.then(() => this.#ring());
      this.#next = this.#ringing;
    }
    return this.#next;
  }

  async #ring(): Promise<void> {
    this.#next = undefined;
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    await this.#bell.ring(lanes.length < LANES_MAX ? lanes : undefined);
  }
}
