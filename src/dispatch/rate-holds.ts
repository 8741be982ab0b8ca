import type { Timer } from '../core/clock.ts';
import type { ClaimAnswer } from './deliver.ts';
import type { Lane } from './lanes.ts';

/** At high rates, what is allowed within this time is claimed together. */
const HOLD_MS_MIN = 10;
/** A limit may be raised meanwhile, and nobody tells. */
const HOLD_MS_MAX = 5_000;
/**
 * Workers that share a limit would all ask at the moment at which one of them gets something. One that got nothing
 * waits for longer: up to so many times the distance of two attempts, and not much where they are far apart.
 */
const DETOUR_MAX = 8;
const DETOUR_MS_MAX = 1_000;

/** Whether the rate limit is the reason why the store has answered with no more. */
export function isHeldBack(answer: ClaimAnswer | undefined, isRated: boolean): boolean {
  return answer?.limit !== undefined && (!isRated || answer.limit.limitedForMs > 0);
}

interface RateHoldsOptions {
  readonly timer: Timer;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly hold: (lane: Lane, isHeld: boolean) => void;
}

/** Lanes that wait until the rate limit of their destination allows the next attempt. */
export class RateHolds {
  readonly #options: RateHoldsOptions;
  /** What ends the wait of each lane early. */
  readonly #held = new Map<Lane, () => void>();
  /** How often in a row other workers took everything. */
  readonly #misses = new WeakMap<Lane, number>();
  #isStopped = false;

  constructor(options: RateHoldsOptions) {
    this.#options = options;
  }

  /** Holds the lane if the answer says so. */
  hold(lane: Lane, answer: ClaimAnswer | undefined): void {
    const limit = answer?.limit;
    if (answer === undefined || limit === undefined || limit.limitedForMs <= 0 || this.#isStopped) {
      return;
    }
    const misses = answer.found.length > 0 ? 0 : (this.#misses.get(lane) ?? 0) + 1;
    this.#misses.set(lane, misses);
    if (this.#held.has(lane)) {
      return;
    }
    const { rateLimit } = limit.policy;
    const everyMs = rateLimit === null ? 0 : rateLimit.perMs / rateLimit.count;
    const detourMs = misses === 0 ? 0 : Math.min(everyMs * Math.min(2 ** misses, DETOUR_MAX), DETOUR_MS_MAX);
    const waitMs = Math.ceil(limit.limitedForMs) + this.#options.random() * detourMs;
    const cancel = this.#options.timer.after(Math.min(Math.max(waitMs, HOLD_MS_MIN), HOLD_MS_MAX), () => {
      this.#held.delete(lane);
      this.#options.hold(lane, false);
    });
    this.#held.set(lane, cancel);
    this.#options.hold(lane, true);
  }

  /** Nothing goes on by itself any more. */
  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#held.values()) {
      cancel();
    }
    this.#held.clear();
  }
}
