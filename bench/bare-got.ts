import { Agent } from 'node:http';
import got from 'got';
import { PAYLOAD } from './payload.ts';
import { serveCalls } from './worker.ts';

export interface GotOrder {
  readonly url: string;
  readonly requests: number;
  readonly concurrency: number;
}

/** The bare limit of delivering: got in a loop, nothing read from a database and nothing recorded. */
const client = got.extend({ agent: { http: new Agent({ keepAlive: true }) }, retry: { limit: 0 } });

async function send({ url, requests, concurrency }: GotOrder): Promise<void> {
  let sent = 0;
  const sendInTurn = async (): Promise<void> => {
    while (sent < requests) {
      sent += 1;
      await client.post(url, {
        body: PAYLOAD,
        headers: {
          'x-bench': '1',
          'content-type': 'application/json',
          'user-agent': 'bare-got',
          'webhook-id': crypto.randomUUID(),
          'webhook-timestamp': Math.floor(Date.now() / 1000).toString(),
        },
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sendInTurn));
}

const calls = { send };
export type BareGotCalls = typeof calls;
serveCalls(calls);
