import type { Ticket } from '../core/ticket.ts';
import type { DeliveryQueue } from './delivery-queue.ts';

/** More than that waits for the sweeper: the database is slower than what comes in. About 3 MB. */
const TICKETS_WAITING_MAX = 10_000;

export interface DetourOptions {
  /** The queue of processes that share nothing but their database. */
  readonly queue: DeliveryQueue;
  /** The deliveries need not wait for a ticket of theirs any longer. */
  readonly makeDue: (tickets: readonly Ticket[]) => Promise<void>;
}

/** The way around a broker that takes no tickets: through the database, which all processes share anyway. */
export class Detour {
  readonly queue: DeliveryQueue;
  readonly #makeDue: DetourOptions['makeDue'];
  #waiting: Ticket[] = [];
  #going: Promise<void> | undefined;

  constructor({ queue, makeDue }: DetourOptions) {
    this.queue = queue;
    this.#makeDue = makeDue;
  }

  take(tickets: readonly Ticket[]): void {
    this.#waiting.push(...tickets.slice(0, TICKETS_WAITING_MAX - this.#waiting.length));
    this.#going ??= this.#go();
  }

  /** Resolves when all that was taken has gone its way. */
  async settled(): Promise<void> {
    await this.#going;
  }

  async #go(): Promise<void> {
    while (this.#waiting.length > 0) {
      const tickets = this.#waiting;
      this.#waiting = [];
      // A database that fails is the store's to report; the sweeper finds the deliveries when it is back.
      await this.#makeDue(tickets)
        .then(() => this.queue.publish(tickets))
        .catch(() => {});
    }
    this.#going = undefined;
  }
}
