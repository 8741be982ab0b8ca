import type { Clock } from '../core/clock.ts';
import type { Ticket } from '../core/ticket.ts';
import type { Facts } from '../observe/facts.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';

const SWEEP_INTERVAL_MS = 500;
/** Of each destination in one sweep; a dispatcher that has room for more asks for it. */
const TICKETS_PER_DESTINATION = 128;

export interface SweeperOptions {
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly facts: Facts;
  readonly offerDue: (tickets: readonly Ticket[], limitPerDestination: number) => void;
}

/**
 * Finds what is due and has no ticket: retries whose time has come, leases that ran out, tickets that were
 * lost. Due times live in the database, the timer only looks; so no wait is too long for a timer.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #running = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#running) {
      this.#running = true;
      this.#next(0);
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  #next(waitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#sweeping = this.#sweep();
    }, waitMs);
  }

  async #sweep(): Promise<void> {
    const { deliveries, clock, facts, offerDue } = this.#options;
    try {
      const tickets = await deliveries.dueOfEach(clock.now(), TICKETS_PER_DESTINATION);
      offerDue(tickets, TICKETS_PER_DESTINATION);
    } catch (error) {
      facts.storageFailed('sweep', error);
    }
    if (this.#running) {
      this.#next(SWEEP_INTERVAL_MS);
    }
  }
}
