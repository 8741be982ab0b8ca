import type { Timer } from '../../src/core/clock.ts';
import { seededRandom } from './seeded-random.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * Time, and the order in which things happen, in the hands of a seed: what is asked for happens in some later
 * step, in an order that nobody can count on, and time passes between.
 */
export class Chance implements Timer {
  readonly random: () => number;
  #now = 1_000_000;
  readonly #steps: (() => void)[] = [];
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** A number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** Resolves in some later step. */
  later(): Promise<void> {
    return new Promise((resolve) => {
      this.#steps.push(resolve);
    });
  }

  /** One thing happens, and at most `ms` go by. */
  async step(ms: number): Promise<void> {
    if (this.#steps.length > 0) {
      this.#steps.splice(this.below(this.#steps.length), 1)[0]?.();
    }
    this.#now += this.below(ms + 1);
    for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
      this.#timers.delete(timer);
      timer.callback();
    }
    await nextTurn();
  }
}
