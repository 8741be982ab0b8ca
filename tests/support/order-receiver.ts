import type { ServerResponse } from 'node:http';
import type { Received } from './receiver.ts';

/** Sent in this order under each key. */
export interface OrderedPayload {
  readonly key: string;
  readonly n: number;
}

export function orderedOf({ body }: Received): OrderedPayload {
  return JSON.parse(body.toString()) as OrderedPayload;
}

/**
 * What a receiver must never see in the order of one destination: a payload before an earlier one has ended, which is with
 * its last request, or two requests of one key at the same time.
 *
 * @param isRepeatable a request may come again after its answer, because the worker that made it has died
 */
export class OrderCheck {
  readonly inversions: string[] = [];
  readonly #latest = new Map<string, number>();
  readonly #underWay = new Map<string, number>();

  begin(received: Received): void {
    const { key, n } = orderedOf(received);
    const latest = this.#latest.get(key) ?? 0;
    const underWay = this.#underWay.get(key);
    if (n < latest || n > latest + 1 || (underWay !== undefined && underWay !== n)) {
      this.inversions.push(`${key} ${n} after ${latest}, while ${underWay} is under way`);
    }
    this.#latest.set(key, Math.max(n, latest));
    this.#underWay.set(key, n);
  }

  end(received: Received, response: ServerResponse, status: number): void {
    const { key, n } = orderedOf(received);
    if (this.#underWay.get(key) === n) {
      this.#underWay.delete(key);
    }
    response.writeHead(status).end();
  }
}
