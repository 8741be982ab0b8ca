import type { BareGotCalls } from './bare-got.ts';
import { Worker } from './worker.ts';

/** As many bare got loops as an installation has senders, with as many requests under way in all. */
export class BareGots {
  readonly #workers: readonly Worker<BareGotCalls>[];

  constructor(count: number) {
    this.#workers = Array.from({ length: count }, () => new Worker<BareGotCalls>('bare-got.ts'));
  }

  get pids(): readonly number[] {
    return this.#workers.map(({ pid }) => pid);
  }

  async send(order: { readonly url: string; readonly requests: number; readonly concurrency: number }): Promise<void> {
    const count = this.#workers.length;
    const shareOf = (total: number, index: number) => Math.floor((total + index) / count);
    await Promise.all(
      this.#workers.map((worker, index) =>
        worker.call('send', {
          url: order.url,
          requests: shareOf(order.requests, index),
          concurrency: shareOf(order.concurrency, index),
        }),
      ),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
