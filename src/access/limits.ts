import { isIP } from 'node:net';
import type { Request } from 'express';
import { LRUCache } from 'lru-cache';
import { parseAddress } from '../core/address-rule.ts';
import type { Clock } from '../core/clock.ts';
import { type Bucket, type Rate, takeTokens } from '../core/token-bucket.ts';
import { hashToken } from '../core/secrets.ts';
import { HttpError } from './http-error.ts';

const ADDRESSES_MAX = 10_000;
const CREDENTIALS_MAX = 10_000;

export const TOO_MANY_FAILURES = 'Too many requests with a wrong token have come from this address.';

interface Failures {
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
}

/** An attempt to authenticate, before the credential has been checked. */
interface AuthenticationAttempt {
  /** The attempt must be refused while this is above 0. */
  readonly waitMs: number;
  failed(): void;
  succeeded(): void;
}

/**
 * Stops those who guess tokens. After too many failures within the time, an address is blocked until the time is over.
 * A credential that was right from the same address before is still checked: an honest caller does not suffer from a
 * neighbour behind the same address, and no guess is let through with it.
 *
 * Libraries such as rate-limiter-flexible count by one key, and have no exemption for credentials that were right.
 */
export class FailureLimit {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #failures = new LRUCache<string, Failures>({ max: ADDRESSES_MAX });
  readonly #right = new LRUCache<string, true>({ max: CREDENTIALS_MAX });

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** The number of addresses and credentials in memory. */
  get size(): number {
    return this.#failures.size + this.#right.size;
  }

  /** @param credential empty when none was sent */
  begin(address: string, credential: string): AuthenticationAttempt {
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

  /** A clock that is set back does not prolong the block. */
  #timeLeft(until: number): number {
    return Math.max(0, Math.min(until - this.#clock.now(), this.#rate.perMs));
  }
}

const NONE: Failures = { count: 0, until: 0 };

/** About 2 MB. An account that is evicted starts again with a full bucket. */
const ACCOUNTS_MAX = 10_000;

interface QuotaOptions {
  readonly rate: Rate;
  readonly burst: number;
  readonly clock: Clock;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
}

/** The sender's limit: the burst, the rest of it, and the seconds until the bucket is full. */
type QuotaHeaders = Map<'RateLimit-Limit' | 'RateLimit-Remaining' | 'RateLimit-Reset', number>;
type SetHeaders = (headers: QuotaHeaders) => void;

/**
 * Limits how many events each account may send to this process. A token belongs to one account for ever, so its owner
 * is cached. The store still decides with every event whether the token is valid.
 */
export class AccountQuota {
  readonly #options: QuotaOptions;
  readonly #accountIds = new LRUCache<string, string>({ max: ACCOUNTS_MAX });
  readonly #buckets = new LRUCache<string, Bucket>({ max: ACCOUNTS_MAX });

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /**
   * Counts one event.
   *
   * @param setHeaders gets the headers of the answer, whether it is a 202 or an error
   * @throws HttpError 401, 429
   */
  async take(token: string, setHeaders: SetHeaders): Promise<void> {
    const accountId = await this.#accountIdOf(token);
    this.#take(this.#buckets.get(accountId), { accountId, events: 1 }, setHeaders);
  }

  /**
   * Counts the events of a batch. One of them is counted already, because their number is known late.
   *
   * @throws HttpError 401, 429; none of them is counted then
   */
  async takeBatch(token: string, events: number, setHeaders: SetHeaders): Promise<void> {
    const accountId = await this.#accountIdOf(token);
    const bucket = this.#buckets.get(accountId);
    const before = bucket && { ...bucket, units: bucket.units + this.#options.rate.perMs };
    this.#take(before, { accountId, events }, setHeaders);
  }

  #take(
    bucket: Bucket | undefined,
    { accountId, events }: { readonly accountId: string; readonly events: number },
    setHeaders: SetHeaders,
  ): void {
    const { rate, burst, clock } = this.#options;
    const result = takeTokens(bucket, { ...rate, burst }, clock.now(), events);
    this.#buckets.set(accountId, result.bucket);
    setHeaders(
      new Map([
        ['RateLimit-Limit', burst],
        ['RateLimit-Remaining', result.remaining],
        ['RateLimit-Reset', Math.ceil(result.fullMs / 1_000)],
      ]),
    );
    if (!result.isGranted) {
      throw HttpError.tooMany('The account has sent too many events.', result.retryMs);
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
      throw HttpError.unauthenticated();
    }
    this.#accountIds.set(hash, accountId);
    return accountId;
  }
}

/**
 * The sender's address, as far as it can be known: that of the connection or, behind trusted proxies, the one that
 * they name.
 */
export function clientAddressOf({ ip, socket }: Pick<Request, 'ip' | 'socket'>): string {
  // A trusted proxy may still pass on text that is not an address.
  return networkOf(ip !== undefined && isIP(ip) !== 0 ? ip : (socket.remoteAddress ?? ''));
}

/** The owner of one IPv6 address has its whole /64, which is four groups of digits. */
const NETWORK_GROUPS = 4;

/** An IPv4 address is its own network, also when it is written as an IPv4-mapped IPv6 address. */
export function networkOf(address: string): string {
  const [withoutZone = ''] = address.split('%', 1);
  const parsed = parseAddress(withoutZone);
  if (parsed === undefined || !('parts' in parsed)) {
    return address;
  }
  if (parsed.isIPv4MappedAddress()) {
    return parsed.toIPv4Address().toString();
  }
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${groups.join(':')}::/64`;
}
