import type { ExchangeOutcome } from '../core/delivery.ts';
import type { Clock } from '../core/clock.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';
import type { Sender } from './sender.ts';
import { route } from './sender-route.ts';
import { SenderWorker, type SenderWorkerOptions } from './sender-worker.ts';

interface SenderPoolOptions extends SenderWorkerOptions {
  readonly threads: number;
  readonly clock: Clock;
}

/** Sends on several threads: got takes far more time than everything else that a delivery needs. */
export class SenderPool implements Sender {
  readonly #clock: Clock;
  readonly #workers: readonly SenderWorker[];

  constructor({ threads, clock, ...options }: SenderPoolOptions) {
    this.#clock = clock;
    this.#workers = Array.from({ length: threads }, () => new SenderWorker(options));
  }

  async send(request: OutgoingRequest): Promise<ExchangeOutcome | undefined> {
    // By the clock of this process: the threads have but the system's.
    const startedAt = this.#clock.now();
    const loads = this.#workers.map(({ load }) => load);
    const outcome = await this.#workers[route(request.url, loads)]?.send(request);
    return outcome && { ...outcome, startedAt };
  }

  close(): void {
    for (const worker of this.#workers) {
      worker.close();
    }
  }
}
