import { open } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PAYLOAD } from './payload.ts';
import { serveCalls } from './worker.ts';

export interface ProbeOrder {
  readonly perSecond: number;
  readonly seconds: number;
}

/** Milliseconds, one figure for each event. */
export interface ProbeResult {
  readonly sentToArrived: readonly number[];
  readonly acceptedToArrived: readonly number[];
}

/** Sender and receiver in one process, so that one clock tells both times. */
const agent = new Agent({ keepAlive: true });
const waiting = new Map<string, (arrivedAt: number) => void>();

const receiver = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.once('end', () => {
    const arrivedAt = performance.now();
    response.end('ok');
    const { probe } = JSON.parse(Buffer.concat(chunks).toString()) as { probe: string };
    waiting.get(probe)?.(arrivedAt);
    waiting.delete(probe);
  });
});
const receiverUrl = () => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;

/** Does the work once for each event, evenly spread, and waits for what it has begun. */
async function evenly<Result>({ perSecond, seconds }: ProbeOrder, work: () => Promise<Result>): Promise<Result[]> {
  const begun: Promise<Result>[] = [];
  const start = performance.now();
  for (let count = 0; count < perSecond * seconds; count += 1) {
    await delay(Math.max(0, start + (count * 1000) / perSecond - performance.now()));
    begun.push(work());
  }
  return Promise.all(begun);
}

/** @returns when the event was sent, acknowledged, and had arrived. */
async function send(url: string, headers: Record<string, string>): Promise<{ acknowledged: number; arrived: number }> {
  const probe = crypto.randomUUID();
  const arrived = new Promise<number>((resolve) => waiting.set(probe, resolve));
  const body = `{"probe":"${probe}",${PAYLOAD.slice(1)}`;
  const acknowledged = new Promise<number>((resolve, reject) => {
    const length = Buffer.byteLength(body);
    const outgoing = request(url, {
      method: 'POST',
      agent,
      headers: { 'Content-Type': 'application/json', 'Content-Length': length, ...headers },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      response.resume();
      if (response.statusCode === 202 || response.statusCode === 200) {
        resolve(performance.now());
      } else {
        reject(new Error(`The event was refused with ${response.statusCode}.`));
      }
    });
    outgoing.end(body);
  });
  return { acknowledged: await acknowledged, arrived: await arrived };
}

const calls = {
  start: () =>
    new Promise<string>((resolve) => {
      receiver.listen(0, '127.0.0.1', () => resolve(receiverUrl()));
    }),

  /** Through the server. */
  probe: async ({ url, token, ...order }: ProbeOrder & { url: string; token: string }): Promise<ProbeResult> => {
    const times = await evenly(order, async () => {
      const sentAt = performance.now();
      return { sentAt, ...(await send(url, { 'CL-X-TOKEN': token })) };
    });
    return {
      sentToArrived: times.map(({ sentAt, arrived }) => arrived - sentAt),
      acceptedToArrived: times.map(({ acknowledged, arrived }) => arrived - acknowledged),
    };
  },

  /** The bare limit: what every delivery has to do at least, one durable write of a page and one request. */
  bare: async ({ file, ...order }: ProbeOrder & { file: string }): Promise<readonly number[]> => {
    await using handle = await open(file, 'w');
    const page = Buffer.alloc(4096, 1);
    return await evenly(order, async () => {
      const startedAt = performance.now();
      await handle.write(page);
      await handle.datasync();
      const { arrived } = await send(receiverUrl(), {});
      return arrived - startedAt;
    });
  },
};
export type LatencyProbeCalls = typeof calls;
serveCalls(calls);
