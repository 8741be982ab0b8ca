import autocannon from 'autocannon';
import { PAYLOAD } from './payload.ts';
import { serveCalls } from './worker.ts';

export interface LoadOrder {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  /** Either how long, or how many events. */
  readonly seconds?: number;
  readonly events?: number;
}

export interface LoadResult {
  readonly accepted: number;
  readonly perSecond: number;
  /** Of one request, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

async function post({ url, token, connections, seconds, events }: LoadOrder): Promise<LoadResult> {
  const result = await autocannon({
    url,
    connections,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'cl-x-token': token },
    body: PAYLOAD,
    ...(events === undefined ? { duration: seconds ?? 1 } : { amount: events }),
  });
  if (result.errors > 0 || result.non2xx > 0) {
    throw new Error(`${result.errors} requests failed and ${result.non2xx} were refused.`);
  }
  return {
    accepted: result['2xx'],
    perSecond: result['2xx'] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

const calls = { post };
export type LoadCalls = typeof calls;
serveCalls(calls);
