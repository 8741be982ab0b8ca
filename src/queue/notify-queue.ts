import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { Notifier, Wake } from '../core/notifier.ts';
import type { DeliveryQueue, ReceiveTickets } from './delivery-queue.ts';

/** With this many lanes, one notification cannot name them all, and the listeners look everywhere. */
const LANES_MAX = 100;

/**
 * The queue of processes that share only a database. A process that dispatches takes its own tickets. One that only
 * accepts events notifies the workers, which look for due deliveries. Notifications that coincide are combined. A
 * process that is stopping still notifies for its last requests.
 */
export class NotifyQueue implements DeliveryQueue {
  readonly visibilityMs = 0;
  readonly #notifier: Notifier;
  #receive: ReceiveTickets | undefined;
  #notifying: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** The lanes of the next notification, by destination. */
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
      await this.#notifyNext();
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

  /** Waits for the notification under way, and combines all calls that come meanwhile. */
  #notifyNext(): Promise<void> {
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
