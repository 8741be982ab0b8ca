import type { Storage } from '../../src/storage/storage.ts';
import { Cleaner } from '../../src/storage/cleaner.ts';

const PASSES_MAX = 10_000;

/** A cleaner whose time passes as the test says. */
export class TestCleaner {
  readonly removed: string[] = [];
  readonly failures: unknown[] = [];
  readonly #cleaner: Cleaner;
  #now = 0;

  constructor({ cleaning }: Pick<Storage, 'cleaning'>) {
    this.#cleaner = new Cleaner({
      cleaning,
      monotonicNow: () => this.#now,
      onRemoved: ({ id }) => this.removed.push(id),
      onFailure: (error) => this.failures.push(error),
    });
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  clean(): Promise<boolean> {
    return this.#cleaner.pass();
  }

  /** Passes until nothing is removed any more, however long one has to wait for that. */
  async finish(): Promise<void> {
    for (let idle = 0, passes = 0; idle < 3; passes += 1) {
      if (passes === PASSES_MAX) {
        throw new Error('Something is removed for ever.');
      }
      idle = (await this.clean()) ? 0 : idle + 1;
      this.pass(60_000);
    }
  }
}
