import type { Cleaning, CleaningCursor, Deleted } from './cleaning.ts';

/** Of accounts and of destinations. Others follow when these are removed. */
const DELETED_MAX = 500;
const ROWS_MIN = 25;
const ROWS_FIRST = 200;
const ROWS_MAX = 500;
/** A step that took longer makes the next one smaller; one that took less than the minimum makes it larger. */
const STEP_MS_MAX = 20;
const STEP_MS_MIN = 10;
/** After each step the cleaner pauses for so many times as long as the step took. */
const PAUSE_FACTOR = 3;
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 1_000;

export interface Pace {
  /** Rows are removed so long after their deletion was noticed: statements that began before it have ended by then. */
  readonly graceMs: number;
  /** How often the cleaner looks for deletions, and how long it leaves one alone that it could remove nothing of. */
  readonly lookMs: number;
}

const USUAL_PACE: Pace = { graceMs: 10_000, lookMs: 5_000 };

export interface CleanerOptions {
  readonly cleaning: Cleaning;
  /** Milliseconds that never jump, unlike the wall clock. */
  readonly monotonicNow: () => number;
  /** Called when nothing of it is left. */
  readonly onRemoved: (deleted: Deleted) => void;
  readonly onFailure: (error: unknown) => void;
  readonly pace?: Partial<Pace> | undefined;
}

interface Removal {
  readonly deleted: Deleted;
  readonly cursor: CleaningCursor;
  /** On the monotonic clock. */
  pausedUntil: number;
}

/**
 * Removes the rows of deleted accounts and destinations in the background. They take turns, one step each, because a
 * large one must not delay the small ones. Between steps the cleaner pauses for the sake of other work on the database.
 * It keeps no state: after a restart it finds the deletions again.
 */
export class Cleaner {
  readonly #options: CleanerOptions;
  readonly #pace: Pace;
  #removals = new Map<string, Removal>();
  #rows = ROWS_FIRST;
  #isRunning = false;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();
  #endWait: () => void = () => {};

  constructor(options: CleanerOptions) {
    this.#options = options;
    this.#pace = { ...USUAL_PACE, ...options.pace };
  }

  start(): void {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#run();
    }
  }

  /** Resolves when the step under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#endWait();
    await this.#running;
  }

  /**
   * Makes one step for each deletion.
   *
   * @param pause is awaited after each step that removed something
   * @returns true if something was removed, and more may be left.
   * @throws what the database throws. The deletion that failed is then left alone for a while.
   */
  async pass(pause: (tookMs: number) => Promise<void> = async () => {}): Promise<boolean> {
    await this.#look();
    let hasRemoved = false;
    for (const removal of this.#removals.values()) {
      if (!this.#isStopped && this.#options.monotonicNow() >= removal.pausedUntil) {
        const [removed, tookMs] = await this.#step(removal);
        if (removed > 0) {
          hasRemoved = true;
          await pause(tookMs);
        }
      }
    }
    return hasRemoved;
  }

  async #run(): Promise<void> {
    const pause = (tookMs: number): Promise<void> =>
      this.#wait(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, tookMs * PAUSE_FACTOR)));
    while (!this.#isStopped) {
      const hasMore = await this.pass(pause).catch((error: unknown) => {
        this.#options.onFailure(error);
        return false;
      });
      if (!hasMore) {
        await this.#wait(this.#pace.lookMs);
      }
    }
  }

  async #look(): Promise<void> {
    const now = this.#options.monotonicNow();
    const found = await this.#options.cleaning.find(DELETED_MAX);
    const pausedUntil = now + this.#pace.graceMs;
    this.#removals = new Map(
      found.map((deleted) => [deleted.id, this.#removals.get(deleted.id) ?? { deleted, cursor: {}, pausedUntil }]),
    );
  }

  async #step(removal: Removal): Promise<[removed: number, tookMs: number]> {
    const { cleaning, monotonicNow, onRemoved } = this.#options;
    const { deleted, cursor } = removal;
    const began = monotonicNow();
    // A step that throws keeps this value: the other deletions must not wait for one that fails.
    removal.pausedUntil = began + 2 * this.#pace.lookMs;
    const { removed, isDone } = await cleaning.step(deleted, cursor, this.#rows).catch((error: unknown) => {
      this.#rows = Math.max(ROWS_MIN, Math.floor(this.#rows / 2));
      throw error;
    });
    const tookMs = monotonicNow() - began;
    removal.pausedUntil = removed > 0 ? began : began + this.#pace.lookMs;
    this.#adapt(removed, tookMs);
    if (isDone) {
      onRemoved(deleted);
    }
    return [removed, tookMs];
  }

  #adapt(removed: number, tookMs: number): void {
    if (tookMs > STEP_MS_MAX) {
      this.#rows = Math.max(ROWS_MIN, Math.floor(this.#rows / 2));
    } else if (removed >= this.#rows && tookMs < STEP_MS_MIN) {
      this.#rows = Math.min(ROWS_MAX, Math.ceil(this.#rows * 1.25));
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#isStopped ? 0 : ms);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
