/** A request that is under way for longer waits for its destination; a younger one may wait for our own processor. */
const RECENT_MS = 50;

/**
 * Requests that may begin at about the same time, for each thread that sends. All that begin at once wait for each
 * other in their thread: 256 of them made the event of another account wait for 150 ms.
 */
const PER_THREAD_MAX = 52;

/** A request under way. */
export interface Begun {
  readonly at: number;
}

/** Tells requests that began a moment ago from those that wait for their destinations. */
export class RecentRequests {
  /** In the order in which they began. */
  readonly #recent = new Set<Begun>();
  readonly #max: number;
  #older = 0;

  /** @param reserved so many more, which are there for accounts that have little under way */
  constructor(threads: number, reserved: number) {
    this.#max = PER_THREAD_MAX * threads + reserved;
  }

  /** @param now on the monotonic clock, in milliseconds */
  begin(now: number): Begun {
    const request = { at: now };
    this.#recent.add(request);
    return request;
  }

  end(request: Begun): void {
    if (!this.#recent.delete(request)) {
      this.#older -= 1;
    }
  }

  /**
   * Slots that are free and stay so, because enough requests have begun a moment ago.
   *
   * @param taken slots of requests that are under way, or about to be
   */
  heldBack(now: number, taken: number, free: number): number {
    const recent = taken - this.#olderThanRecent(now);
    return Math.max(free - Math.max(this.#max - recent, 0), 0);
  }

  /** Milliseconds until one more is no longer recent; `undefined` when none is. */
  nextIn(now: number): number | undefined {
    const [first] = this.#recent;
    return first && Math.max(first.at + RECENT_MS - now, 0);
  }

  #olderThanRecent(now: number): number {
    for (const request of this.#recent) {
      if (now - request.at < RECENT_MS) {
        break;
      }
      this.#recent.delete(request);
      this.#older += 1;
    }
    return this.#older;
  }
}
