import { LRUCache } from 'lru-cache';
import { burstOf, type EffectivePolicy } from '../core/delivery-policy.ts';

/** Destinations that are remembered while they have no lane. About 2 MB for each map. */
const DESTINATIONS_MAX = 10_000;

/** How much of a destination's work a lane may take. */
export interface LaneLimits {
  /** Requests that may be under way at the same time. */
  readonly slotsMax: number;
  /**
   * Set if the destination has a rate limit: what may be claimed at once. Such a lane keeps no tickets and claims nothing
   * ahead, because only the database knows what is allowed now.
   */
  readonly burst: number | undefined;
}

interface ServerLimits {
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
}

/**
 * What outlives an idle lane: where its look-ups begin, and the limits of its destination, which claims tell. If they are
 * forgotten, the next claim tells them again.
 */
export class LaneMemory {
  readonly #cursors = new LRUCache<string, number>({ max: DESTINATIONS_MAX });
  readonly #limits = new LRUCache<string, LaneLimits>({ max: DESTINATIONS_MAX });
  readonly #server: ServerLimits;
  readonly #usual: LaneLimits;

  constructor(server: ServerLimits) {
    this.#server = server;
    this.#usual = { slotsMax: server.maxConcurrencyPerDestination, burst: undefined };
  }

  cursorOf(destinationId: string): number {
    return this.#cursors.get(destinationId) ?? 0;
  }

  rememberCursor(destinationId: string, cursor: number): void {
    this.#cursors.set(destinationId, cursor);
  }

  limitsOf(destinationId: string): LaneLimits {
    return this.#limits.get(destinationId) ?? this.#usual;
  }

  /** A destination without limits of its own takes no room. */
  learn(destinationId: string, { maxConcurrency, rateLimit }: EffectivePolicy): LaneLimits {
    const slotsMax = Math.min(maxConcurrency, this.#server.maxConcurrency);
    const burst = rateLimit === null ? undefined : burstOf(rateLimit);
    if (slotsMax === this.#usual.slotsMax && burst === undefined) {
      return this.forget(destinationId);
    }
    const limits = { slotsMax, burst };
    this.#limits.set(destinationId, limits);
    return limits;
  }

  forget(destinationId: string): LaneLimits {
    this.#limits.delete(destinationId);
    return this.#usual;
  }
}
