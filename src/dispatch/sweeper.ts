import type { Timer } from '../core/clock.ts';
import type { TicketLane } from '../core/delivery.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import type { FoundLane } from '../storage/searches.ts';
import type { Priority } from './lanes.ts';

const SWEEP_INTERVAL_MS = 500;
/** Destinations that one sweep looks at. The next sweep continues after them. */
const LANES_PER_SWEEP = 256;
const RETRIES_PER_QUERY = 1_000;
/** A retry may be committed a little after its due time. One that comes even later is found with the destinations. */
const RETRY_OVERLAP_MS = 1_000;
/** Within this time, tickets that do not leave the process are claimed, or their lanes look in the database. */
const GRACE_MS_MIN = 1_000;

export interface SweeperOptions {
  readonly deliveries: Pick<DeliveryStore, 'findLanes' | 'findRetries' | 'disabledAmong'>;
  readonly timer: Timer;
  readonly telemetry: Telemetry;
  /** How long the ticket of a fresh delivery may be on its way, in milliseconds. */
  readonly graceMs: () => number;
  /** Destinations with claims whose requests have not begun. */
  readonly waitingDestinations: () => readonly string[];
  /** Called with destinations that must get nothing more. */
  readonly withdraw: (destinationIds: readonly string[]) => void;
  readonly offerLanes: (lanes: readonly TicketLane[], priority: Priority) => void;
  readonly offerLost: (lane: TicketLane, lost: number) => void;
}

/**
 * Finds destinations with due deliveries that have no ticket: retries, expired leases, lost tickets. Due times live in
 * the database and the timer only polls, so no wait is too long for a timer. The sweeper writes nothing: what it finds
 * is claimed when there is a slot.
 *
 * Retries are found by their due time, each once. For everything else, each sweep looks at the next few destinations
 * with pending deliveries, so a sweep costs the same however many wait.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #cancelTimer: () => void = () => {};
  #sweeping: Promise<void> = Promise.resolve();
  #isRunning = false;
  #isSweeping = false;
  /** The destination after which the next sweep continues. */
  #after = '';
  /** Retries due until then have been found. Milliseconds since the Unix epoch. */
  #retriesUntil = 0;
  /** The next sweep looks at all destinations, and without grace. */
  #isFullSweepDue = true;
  /** The next sweep does not wait for the timer. */
  #mustSweepAgain = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#sweepIn(0);
    }
  }

  /** Something may be due anywhere: looks at all destinations now. */
  wake(): void {
    this.#isFullSweepDue = true;
    this.#mustSweepAgain = true;
    if (this.#isRunning && !this.#isSweeping) {
      this.#cancelTimer();
      this.#sweepIn(0);
    }
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancelTimer();
    await this.#sweeping;
  }

  #sweepIn(waitMs: number): void {
    this.#cancelTimer = this.#options.timer.after(waitMs, () => {
      this.#sweeping = this.#sweep();
    });
  }

  async #sweep(): Promise<void> {
    this.#isSweeping = true;
    this.#mustSweepAgain = false;
    try {
      await this.#findDisabled();
      await this.#findRetries();
      await this.#findLanes();
    } catch (error) {
      this.#options.telemetry.storageFailed('sweep', error);
    }
    this.#isSweeping = false;
    if (this.#isRunning) {
      this.#sweepIn(this.#mustSweepAgain ? 0 : SWEEP_INTERVAL_MS);
    }
  }

  /** Another process may have disabled or deleted a destination; this one gets no message about it. */
  async #findDisabled(): Promise<void> {
    const { deliveries, waitingDestinations, withdraw } = this.#options;
    const ids = waitingDestinations();
    if (ids.length > 0) {
      withdraw(await deliveries.disabledAmong(ids));
    }
  }

  async #findRetries(): Promise<void> {
    const { deliveries, offerLanes } = this.#options;
    for (let isMore = true; isMore && this.#isRunning; ) {
      const found = await deliveries.findRetries({ after: this.#retriesUntil, limit: RETRIES_PER_QUERY });
      isMore = found.length === RETRIES_PER_QUERY;
      const last = found.at(-1)?.dueAt ?? this.#retriesUntil;
      this.#retriesUntil = isMore ? last : Math.max(this.#retriesUntil, last - RETRY_OVERLAP_MS);
      offerLanes(found, 'retries');
    }
  }

  async #findLanes(): Promise<void> {
    const { deliveries, graceMs } = this.#options;
    const isFull = this.#isFullSweepDue;
    this.#isFullSweepDue = false;
    this.#after = isFull ? '' : this.#after;
    do {
      const found = await deliveries.findLanes({
        after: this.#after,
        limit: LANES_PER_SWEEP,
        graceMs: isFull ? 0 : Math.max(graceMs(), GRACE_MS_MIN),
      });
      this.#after = found.length < LANES_PER_SWEEP ? '' : (found.at(-1)?.destinationId ?? '');
      for (const lane of found) {
        this.#offer(lane);
      }
    } while (isFull && this.#after !== '' && this.#isRunning);
  }

  #offer({ destinationId, accountId, due, lost }: FoundLane): void {
    const { offerLanes, offerLost } = this.#options;
    if (accountId !== null && due !== null) {
      offerLanes([{ destinationId, accountId }], due);
    }
    if (accountId !== null && lost !== null) {
      offerLost({ destinationId, accountId }, lost);
    }
  }
}
