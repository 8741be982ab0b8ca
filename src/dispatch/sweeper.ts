import type { Timer } from '../core/clock.ts';
import type { TicketLane } from '../core/delivery.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import type { FoundLane } from '../storage/statements.ts';
import type { Line } from './lanes.ts';

const SWEEP_INTERVAL_MS = 500;
/** Destinations that one sweep looks at. The next one goes on behind them. */
const LANES_PER_SWEEP = 256;
const RETRIES_PER_LOOK = 1_000;
/** A retry may be committed a little after its time; older ones are found as all other things are. */
const RETRY_OVERLAP_MS = 1_000;
/** Where tickets do not travel, they are claimed within that time, or their lane looks in the store. */
const GRACE_MS_MIN = 1_000;

export interface SweeperOptions {
  readonly deliveries: Pick<DeliveryStore, 'findLanes' | 'findRetries' | 'disabledAmong'>;
  readonly timer: Timer;
  readonly telemetry: Telemetry;
  /** How long the ticket of a fresh delivery may be on its way, in milliseconds. */
  readonly graceMs: () => number;
  /** Destinations for which something was claimed that has not begun. */
  readonly aheadOf: () => readonly string[];
  /** Destinations that get nothing from now on. */
  readonly withdraw: (destinationIds: readonly string[]) => void;
  readonly offerLanes: (lanes: readonly TicketLane[], line: Line) => void;
  readonly offerLost: (lane: TicketLane, lost: number) => void;
}

/**
 * Finds destinations with something due that there is no ticket for: retries whose time has come, leases that
 * ran out, tickets that were lost. Due times live in the database, the timer only looks; so no wait is too long
 * for a timer. It writes nothing: what it finds is claimed when there is a slot.
 *
 * Retries are found by their time, each once. Everything else is found on a round through the destinations with
 * something pending, some of them in each sweep; so a sweep costs the same whatever waits.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #callOff: () => void = () => {};
  #sweeping: Promise<void> = Promise.resolve();
  #isRunning = false;
  #isSweeping = false;
  /** The destination behind which the round goes on. */
  #after = '';
  /** Retries whose time had come by then are known. Milliseconds since the Unix epoch. */
  #retriesUntil = 0;
  /** A whole round is to be made, and without grace. */
  #isUrgent = true;
  /** The next sweep does not wait for the timer. */
  #mustGoOn = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#next(0);
    }
  }

  /** Something may be due somewhere: a whole round, now. */
  wake(): void {
    this.#isUrgent = true;
    this.#mustGoOn = true;
    if (this.#isRunning && !this.#isSweeping) {
      this.#callOff();
      this.#next(0);
    }
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#callOff();
    await this.#sweeping;
  }

  #next(waitMs: number): void {
    this.#callOff = this.#options.timer.after(waitMs, () => {
      this.#sweeping = this.#sweep();
    });
  }

  async #sweep(): Promise<void> {
    this.#isSweeping = true;
    this.#mustGoOn = false;
    try {
      await this.#findDisabled();
      await this.#findRetries();
      await this.#findLanes();
    } catch (error) {
      this.#options.telemetry.storageFailed('sweep', error);
    }
    this.#isSweeping = false;
    if (this.#isRunning) {
      this.#next(this.#mustGoOn ? 0 : SWEEP_INTERVAL_MS);
    }
  }

  /** Disabled or deleted by another process: this one was not told. */
  async #findDisabled(): Promise<void> {
    const { deliveries, aheadOf, withdraw } = this.#options;
    const ids = aheadOf();
    if (ids.length > 0) {
      withdraw(await deliveries.disabledAmong(ids));
    }
  }

  async #findRetries(): Promise<void> {
    const { deliveries, offerLanes } = this.#options;
    for (let isMore = true; isMore && this.#isRunning; ) {
      const found = await deliveries.findRetries({ after: this.#retriesUntil, limit: RETRIES_PER_LOOK });
      isMore = found.length === RETRIES_PER_LOOK;
      const last = found.at(-1)?.dueAt ?? this.#retriesUntil;
      this.#retriesUntil = isMore ? last : Math.max(this.#retriesUntil, last - RETRY_OVERLAP_MS);
      offerLanes(found, 'retries');
    }
  }

  async #findLanes(): Promise<void> {
    const { deliveries, graceMs } = this.#options;
    const isWhole = this.#isUrgent;
    this.#isUrgent = false;
    this.#after = isWhole ? '' : this.#after;
    do {
      const found = await deliveries.findLanes({
        after: this.#after,
        limit: LANES_PER_SWEEP,
        graceMs: isWhole ? 0 : Math.max(graceMs(), GRACE_MS_MIN),
      });
      this.#after = found.length < LANES_PER_SWEEP ? '' : (found.at(-1)?.destinationId ?? '');
      for (const lane of found) {
        this.#offer(lane);
      }
    } while (isWhole && this.#after !== '' && this.#isRunning);
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
