import type { App } from '../../src/app.ts';
import { exchange, type RawAnswer } from './exchange.ts';

export interface BatchRequest {
  readonly token: string;
  readonly body: string | Buffer;
  readonly type?: string;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
}

/** Posts a batch. */
export function postBatch(urls: App['urls'], { token, body, type, headers = [] }: BatchRequest): Promise<RawAnswer> {
  const all = ['Content-Type', type ?? 'application/json', 'CL-X-TOKEN', token, ...headers];
  return exchange(`${urls.ingest}/batch`, { headers: all, body });
}

/** A batch of so many small events, numbered from 0. */
export function numberedBatch(count: number): string {
  return JSON.stringify(Array.from({ length: count }, (_, number) => ({ number })));
}
