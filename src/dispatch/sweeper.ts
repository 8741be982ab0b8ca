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
  /** How long a ticket is good before a sweep may write another; 0 where this process is the only one. */
  readonly visibilityMs: number;
  /** Destinations that there is no room for. */
  readonly fullDestinations: () => readonly string[];
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
  #isSweeping = false;
  #mustSweepAgain = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#running) {
      this.#running = true;
      this.#next(0);
    }
  }

  /** Does not wait for the timer. */
  wake(): void {
    if (this.#isSweeping) {
      this.#mustSweepAgain = true;
    } else if (this.#running) {
      clearTimeout(this.#timer);
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
    const { deliveries, clock, facts, visibilityMs, fullDestinations, offerDue } = this.#options;
    this.#isSweeping = true;
    this.#mustSweepAgain = false;
    try {
      const tickets = await deliveries.takeDue({
        now: clock.now(),
        limitPerDestination: TICKETS_PER_DESTINATION,
        visibilityMs,
        except: fullDestinations(),
      });
      offerDue(tickets, TICKETS_PER_DESTINATION);
    } catch (error) {
      facts.storageFailed('sweep', error);
    }
    this.#isSweeping = false;
    if (this.#running) {
      this.#next(this.#mustSweepAgain ? 0 : SWEEP_INTERVAL_MS);
    }
  }
}
