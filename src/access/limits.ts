import { isIP, SocketAddress } from 'node:net';
import type { Request } from 'express';
import type { Clock } from '../core/clock.ts';
import { type Bucket, type Rate, takeToken } from '../core/token-bucket.ts';
import { RecentMap } from '../core/recent-map.ts';
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

/** A request that says who it is from. */
export interface Authentication {
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
  visit(address: string, credential: string): Authentication {
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
   * @throws HttpError 401, 429
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
      throw HttpError.tooMany('The account has sent too many events.', taking.retryMs);
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

/** Whoever has one IPv6 address has all of its network of 64 bits, which is four groups of digits. */
const NETWORK_GROUPS = 4;
const MAPPED_IPV4 = /^::ffff:(?<address>[\d.]+)$/u;

/**
 * Who sends a request, as far as an address can tell: that of the connection or, behind proxies that are
 * trusted, the one that they name.
 */
export function clientAddressOf({ ip, socket }: Pick<Request, 'ip' | 'socket'>): string {
  // A trusted proxy may still pass on what is no address.
  return networkOf(ip !== undefined && isIP(ip) !== 0 ? ip : (socket.remoteAddress ?? ''));
}

/** An IPv4 address is its own network, also where it is written as one of IPv6. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) {
    return address;
  }
  const { address: canonical } = new SocketAddress({ address, family: 'ipv6' });
  const mapped = MAPPED_IPV4.exec(canonical)?.groups?.['address'];
  return mapped ?? `${groupsOf(canonical).slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

/** The eight groups, of which the longest run of zeros is left out in the text. */
function groupsOf(canonical: string): string[] {
  const [before = [], after = []] = canonical
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
}
