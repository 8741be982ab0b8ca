import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { Notifier, Wake } from '../core/notifier.ts';
import type { DeliveryQueue, ReceiveTickets } from './delivery-queue.ts';

/** More than one notification can name. Then the listeners look everywhere. */
const LANES_MAX = 100;

/**
 * The queue of processes that share a database and nothing else. A process that dispatches takes its own
 * tickets; one that only accepts notifies, and the workers look for what is due. Several notifications at once are one.
 * A process that stops notifies of what its last requests have brought.
 */
export class NotifyQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  readonly #notifier: Notifier;
  #receive: ReceiveTickets | undefined;
  #notifying: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** What the next notification names, by destination. */
  #lanes = new Map<string, TicketLane>();

  constructor(notifier: Notifier) {
    this.#notifier = notifier;
  }

  get isConsuming(): boolean {
    return this.#receive !== undefined && this.#notifier.isListening;
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
    await this.#notifier.listen(wake);
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
    await this.#notifier.stop();
  }

  /** After the notification that is under way, once for all that ask meanwhile. */
  #ringNext(): Promise<void> {
    if (this.#next === undefined) {
      this.#notifying = this.#notifying.then(() => this.#notify());
      this.#next = this.#notifying;
    }
    return this.#next;
  }

  async #notify(): Promise<void> {
    this.#next = undefined;
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    await this.#notifier.notify(lanes.length < LANES_MAX ? lanes : undefined);
  }
}
