import type { Clock } from '../core/clock.ts';
import type { Rate } from '../core/rate.ts';
import { RecentMap } from '../core/recent-map.ts';
import { hashToken } from '../core/secret-token.ts';
import { type Bucket, takeToken } from '../core/token-bucket.ts';
import { Refusal } from './refusal.ts';

/** About 2 MB. An account that is forgotten begins with a full bucket. */
const ACCOUNTS_MAX = 10_000;

export interface QuotaOptions {
  readonly rate: Rate;
  readonly burst: number;
  readonly clock: Clock;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
}

/** What a sender is told of its limit: how much fits, how much of it is left, and in how many seconds all is. */
export type QuotaHeaders = Map<'RateLimit-Limit' | 'RateLimit-Remaining' | 'RateLimit-Reset', number>;

/**
 * How many events each account may send, counted in this process. A token belongs to one account for ever, so
 * whose it is can be remembered; whether it is still good is for the store to say.
 */
export class AccountQuota {
  readonly #options: QuotaOptions;
  readonly #accountIds = new RecentMap<string, string>(ACCOUNTS_MAX);
  readonly #buckets = new RecentMap<string, Bucket>(ACCOUNTS_MAX);

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /**
   * Counts one event.
   *
   * @param tell is called with the headers of the answer, whatever it will be
   * @throws Refusal 401, 429
   */
  async take(token: string, tell: (headers: QuotaHeaders) => void): Promise<void> {
    const { rate, burst, clock } = this.#options;
    const accountId = await this.#accountIdOf(token);
    const taking = takeToken(this.#buckets.get(accountId), rate, burst, clock.now());
    this.#buckets.set(accountId, taking.bucket);
    tell(
      new Map([
        ['RateLimit-Limit', burst],
        ['RateLimit-Remaining', taking.remaining],
        ['RateLimit-Reset', Math.ceil(taking.fullMs / 1_000)],
      ]),
    );
    if (!taking.isGranted) {
      throw Refusal.tooMany('The account has sent too many events.', taking.retryMs);
    }
  }

  async #accountIdOf(token: string): Promise<string> {
    const hash = hashToken(token);
    const known = this.#accountIds.get(hash);
    if (known !== undefined) {
      return known;
    }
    const accountId = await this.#options.accountIdOf(token);
    if (accountId === undefined) {
      throw Refusal.unauthenticated();
    }
    this.#accountIds.set(hash, accountId);
    return accountId;
  }
}
