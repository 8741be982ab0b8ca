import type { Cleaning, Marked, Place } from './cleaning.ts';

/** Of accounts and of destinations; those beyond have their turn when these are gone. */
const MARKED_MAX = 500;
const ROWS_MIN = 25;
const ROWS_FIRST = 200;
const ROWS_MAX = 500;
/** A step that took longer is followed by a smaller one, and one that took less by a larger one. */
const STEP_MS_MAX = 20;
const STEP_MS_MIN = 10;
/** The database is left to the others for so many times as long as a step took. */
const PAUSE_FACTOR = 3;
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 1_000;

export interface Pace {
  /** So long a mark must have been seen; by then no statement is at work that does not know of it. */
  readonly graceMs: number;
  /** How often marks are looked for, and how long something rests that nothing could be removed of. */
  readonly lookMs: number;
}

const USUAL_PACE: Pace = { graceMs: 10_000, lookMs: 5_000 };

export interface CleanerOptions {
  readonly cleaning: Cleaning;
  /** Milliseconds that never jump, whatever is done to the wall clock. */
  readonly monotonicNow: () => number;
  readonly onRemoved: (marked: Marked) => void;
  readonly onFailure: (error: unknown) => void;
  readonly pace?: Partial<Pace> | undefined;
}

interface Remains {
  readonly marked: Marked;
  readonly place: Place;
  /** On the monotonic clock. */
  restsUntil: number;
}

/**
 * Removes in the background what was deleted. All that is deleted takes turns, a step each, so that nothing large
 * holds up what is small; and between steps the database is left to everybody else. Nothing of this has to be
 * remembered: whoever starts again looks for the marks.
 */
export class Cleaner {
  readonly #options: CleanerOptions;
  readonly #pace: Pace;
  #remains = new Map<string, Remains>();
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

  /** The step under way comes to its end. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#endWait();
    await this.#running;
  }

  /**
   * One step for each thing that was deleted.
   *
   * @param rest is waited for after each step that removed something, which took so many milliseconds
   * @returns whether something was removed, and so more may be left
   * @throws what the database throws; what it was about then rests for a while
   */
  async round(rest: (tookMs: number) => Promise<void> = async () => {}): Promise<boolean> {
    await this.#look();
    let hasRemoved = false;
    for (const remains of this.#remains.values()) {
      if (!this.#isStopped && this.#options.monotonicNow() >= remains.restsUntil) {
        const [removed, tookMs] = await this.#step(remains);
        if (removed > 0) {
          hasRemoved = true;
          await rest(tookMs);
        }
      }
    }
    return hasRemoved;
  }

  async #run(): Promise<void> {
    const rest = (tookMs: number): Promise<void> =>
      this.#wait(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, tookMs * PAUSE_FACTOR)));
    while (!this.#isStopped) {
      const mayGoOn = await this.round(rest).catch((error: unknown) => {
        this.#options.onFailure(error);
        return false;
      });
      if (!mayGoOn) {
        await this.#wait(this.#pace.lookMs);
      }
    }
  }

  async #look(): Promise<void> {
    const now = this.#options.monotonicNow();
    const found = await this.#options.cleaning.find(MARKED_MAX);
    const restsUntil = now + this.#pace.graceMs;
    this.#remains = new Map(
      found.map((marked) => [marked.id, this.#remains.get(marked.id) ?? { marked, place: {}, restsUntil }]),
    );
  }

  async #step(remains: Remains): Promise<[removed: number, tookMs: number]> {
    const { cleaning, monotonicNow, onRemoved } = this.#options;
    const { marked, place } = remains;
    const began = monotonicNow();
    // Until it has gone well: what fails must not keep the others from their turns.
    remains.restsUntil = began + 2 * this.#pace.lookMs;
    const { removed, isDone } = await cleaning.step(marked, place, this.#rows).catch((error: unknown) => {
      this.#rows = Math.max(ROWS_MIN, Math.floor(this.#rows / 2));
      throw error;
    });
    const tookMs = monotonicNow() - began;
    remains.restsUntil = removed > 0 ? began : began + this.#pace.lookMs;
    this.#adapt(removed, tookMs);
    if (isDone) {
      onRemoved(marked);
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
