import type { ExchangeOutcome } from '../core/delivery.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Sender } from './sender.ts';
import { route } from './sender-route.ts';
import { SenderWorker, type SenderWorkerOptions } from './sender-worker.ts';

interface SenderPoolOptions extends SenderWorkerOptions {
  readonly threads: number;
}

/** Sends on several threads: got takes far more time than everything else that a delivery needs. */
export class SenderPool implements Sender {
  readonly #workers: readonly SenderWorker[];

  constructor({ threads, ...options }: SenderPoolOptions) {
    this.#workers = Array.from({ length: threads }, () => new SenderWorker(options));
  }

  async send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined> {
    const loads = this.#workers.map(({ load }) => load);
    return this.#workers[route(source.url, loads)]?.send(source, sentAt);
  }

  close(): void {
    for (const worker of this.#workers) {
      worker.close();
    }
  }
}
