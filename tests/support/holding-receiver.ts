import type { ServerResponse } from 'node:http';
import { numberOf } from './numbered-payload.ts';
import type { Received, Receiver } from './receiver.ts';
import type { Workbench } from './workbench.ts';

/**
 * Answers each request to `/held` only when the next one comes, and all others at once: at every moment there
 * is work under way, whenever the server is killed.
 */
export class HoldingReceiver {
  readonly #receiver: Receiver;
  #held: ServerResponse | undefined;
  #holds = true;
  #waiting: { upTo: number; resolve: (at: number) => void }[] = [];

  private constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  static async start(bench: Workbench): Promise<HoldingReceiver> {
    const holding = new HoldingReceiver(await bench.receiver());
    holding.#receiver.answerWith((response, received) => holding.#answer(response, received));
    return holding;
  }

  get received(): readonly Received[] {
    return this.#receiver.received;
  }

  url(path: string): string {
    return this.#receiver.url(path);
  }

  /** When the next payload with a number up to this one arrives, on the clock of `performance.now()`. */
  nextUpTo(upTo: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push({ upTo, resolve }));
  }

  holdNothing(): void {
    this.#holds = false;
    this.#held?.end();
  }

  #answer(response: ServerResponse, { target, body }: Received): void {
    const number = numberOf(body);
    for (const { resolve } of this.#waiting.filter(({ upTo }) => number <= upTo)) {
      resolve(performance.now());
    }
    this.#waiting = this.#waiting.filter(({ upTo }) => number > upTo);
    if (target === '/held' && this.#holds) {
      this.#held?.end();
      this.#held = response;
    } else {
      response.end();
    }
  }
}
