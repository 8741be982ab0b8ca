import type { Clock } from '../core/clock.ts';
import type { Rate } from '../core/rate.ts';
import { RecentMap } from '../core/recent-map.ts';
import { hashToken } from '../core/secret-token.ts';

const ADDRESSES_MAX = 10_000;
const CREDENTIALS_MAX = 10_000;

export const TOO_MANY_FAILURES = 'Too many requests with a wrong token have come from this address.';

interface Failures {
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
}

/** A request that says who it is from. */
export interface Visit {
  /** The milliseconds for which it should not be listened to; 0 when it should. */
  readonly waitMs: number;
  failed(): void;
  succeeded(): void;
}

/**
 * Stops whoever tries tokens. After so many that were wrong within the time, an address is not listened to until
 * the time is over. What was right from the same address before is still let in, to be checked as ever: an honest
 * caller does not suffer from a neighbour behind the same address, and no guess can be among it.
 */
export class FailureLimit {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #failures = new RecentMap<string, Failures>(ADDRESSES_MAX);
  readonly #right = new RecentMap<string, true>(CREDENTIALS_MAX);

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** How many addresses and credentials are remembered. */
  get size(): number {
    return this.#failures.size + this.#right.size;
  }

  /** @param credential what is to be checked; empty where nothing was sent */
  visit(address: string, credential: string): Visit {
    const key = `${address} ${hashToken(credential)}`;
    return {
      waitMs: this.#right.get(key) === true ? 0 : this.#waitMs(address),
      failed: () => {
        this.#right.delete(key);
        this.#countFailure(address);
      },
      succeeded: () => this.#right.set(key, true),
    };
  }

  #waitMs(address: string): number {
    const { count, until } = this.#failures.get(address) ?? NONE;
    return count < this.#rate.count ? 0 : this.#timeLeft(until);
  }

  #countFailure(address: string): void {
    const now = this.#clock.now();
    const { count, until } = this.#failures.get(address) ?? NONE;
    const isFirst = this.#timeLeft(until) === 0;
    this.#failures.set(address, isFirst ? { count: 1, until: now + this.#rate.perMs } : { count: count + 1, until });
  }

  /** A clock that went back does not make it longer than it was. */
  #timeLeft(until: number): number {
    return Math.max(0, Math.min(until - this.#clock.now(), this.#rate.perMs));
  }
}

const NONE: Failures = { count: 0, until: 0 };
