import { LRUCache } from 'lru-cache';
import { AccountRoutes, type StoredRoutes } from '../core/account-routes.ts';

const BYTES_MAX = 64 * 1_048_576;

/**
 * The routes of the accounts that sent events last, by the hash of their tokens. They may be out of date: the statement
 * that stores an event decides whether their version still holds.
 */
export class RouteCache {
  readonly #load: (tokenHash: string) => Promise<StoredRoutes | undefined>;
  readonly #known = new LRUCache<string, AccountRoutes>({ maxSize: BYTES_MAX, sizeCalculation: ({ bytes }) => bytes });
  readonly #loading = new Map<string, Promise<AccountRoutes | undefined>>();

  constructor(load: (tokenHash: string) => Promise<StoredRoutes | undefined>) {
    this.#load = load;
  }

  /** Loads them if they are not known. @returns `undefined` if no account has the token. */
  get(tokenHash: string): AccountRoutes | undefined | Promise<AccountRoutes | undefined> {
    const known = this.#known.get(tokenHash);
    if (known !== undefined) {
      return known;
    }
    const loading = this.#loading.get(tokenHash) ?? this.#startLoading(tokenHash);
    this.#loading.set(tokenHash, loading);
    return loading;
  }

  /** Forgets routes that are out of date, unless newer ones have come meanwhile. */
  drop({ stored: { tokenHash, version } }: AccountRoutes): void {
    const known = this.#known.peek(tokenHash);
    if (known !== undefined && known.stored.version <= version) {
      this.#known.delete(tokenHash);
    }
  }

  async #startLoading(tokenHash: string): Promise<AccountRoutes | undefined> {
    try {
      const stored = await this.#load(tokenHash);
      if (stored === undefined) {
        return undefined;
      }
      const routes = new AccountRoutes(stored);
      this.#known.set(tokenHash, routes);
      return routes;
    } finally {
      this.#loading.delete(tokenHash);
    }
  }
}
