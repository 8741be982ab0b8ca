import autocannon from 'autocannon';
import { nowMs } from './monotonic.ts';
import { PAYLOAD } from './payload.ts';
import { serveCalls } from './worker.ts';

export interface LoadOrder {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  /** Events in one request; an event alone if it is left out. */
  readonly batch?: number;
  /** Either how long, or how many events. */
  readonly seconds?: number;
  readonly events?: number;
}

export interface LoadResult {
  /** Requests. */
  readonly accepted: number;
  readonly perSecond: number;
  /** Accepted in each second. */
  readonly eachSecond: readonly number[];
  /** Of one request, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

async function post({ url, token, connections, batch, seconds, events }: LoadOrder): Promise<LoadResult> {
  const startedAt = nowMs();
  const eachSecond: number[] = [];
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const run = autocannon(
      {
        url,
        connections,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'cl-x-token': token },
        body: batch === undefined ? PAYLOAD : `[${Array(batch).fill(PAYLOAD).join(',')}]`,
        ...(events === undefined ? { duration: seconds ?? 1 } : { amount: events }),
      },
      (error: Error | null, done) => (error === null ? resolve(done) : reject(error)),
    );
    run.on('response', () => {
      const second = Math.floor((nowMs() - startedAt) / 1000);
      eachSecond[second] = (eachSecond[second] ?? 0) + 1;
    });
  });
  if (result.errors > 0 || result.non2xx > 0) {
    throw new Error(`${result.errors} requests failed and ${result.non2xx} were refused.`);
  }
  return {
    accepted: result['2xx'],
    perSecond: result['2xx'] / result.duration,
    eachSecond: Array.from(eachSecond, (count) => count ?? 0),
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

const calls = { post };
export type LoadCalls = typeof calls;
serveCalls(calls);
