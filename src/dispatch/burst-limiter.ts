/** A request that has been under way for longer probably waits for its destination and not for our processor. */
const RECENT_MS = 50;

/**
 * Requests that may begin within `RECENT_MS`, for each sender thread. All that begin at once wait for each other in
 * their thread: 256 of them delayed the event of another account by 150 ms.
 */
const PER_THREAD_MAX = 52;

/** Limits how many requests begin at about the same time, in the whole process. */
export class BurstLimiter {
  /** When each recent request began, on the monotonic clock; the oldest first. */
  readonly #recent = new Map<object, number>();
  readonly #max: number;
  /** Requests under way that are no longer recent. */
  #older = 0;

  /** @param reserved added to the limit, for accounts with few requests under way */
  constructor(threads: number, reserved: number) {
    this.#max = PER_THREAD_MAX * threads + reserved;
  }

  /** @param now on the monotonic clock, in milliseconds */
  begin(request: object, now: number): void {
    this.#recent.set(request, now);
  }

  end(request: object): void {
    if (!this.#recent.delete(request)) {
      this.#older -= 1;
    }
  }

  /**
   * Free slots that must stay free for now, because enough requests have just begun.
   *
   * @param taken slots of requests that are under way or about to be
   */
  heldBack(now: number, taken: number, free: number): number {
    const recent = taken - this.#olderThanRecent(now);
    return Math.max(free - Math.max(this.#max - recent, 0), 0);
  }

  /** Milliseconds until the oldest recent request is no longer recent; `undefined` if there is none. */
  nextIn(now: number): number | undefined {
    const [first] = this.#recent.values();
    return first === undefined ? undefined : Math.max(first + RECENT_MS - now, 0);
  }

  #olderThanRecent(now: number): number {
    for (const [request, beganAt] of this.#recent) {
      if (now - beganAt < RECENT_MS) {
        break;
      }
      this.#recent.delete(request);
      this.#older += 1;
    }
    return this.#older;
  }
}
