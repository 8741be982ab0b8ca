import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nowMs } from './monotonic.ts';
import { serveCalls } from './worker.ts';

/** A destination that answers at once, unless it is shut, and counts what arrives in each second. */
let isOpen = true;
let held: ServerResponse[] = [];
const ids = new Set<string>();
let arrivals = 0;
let startedAt = 0;
let lastAt = 0;
let perSecond: number[] = [];

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    const now = nowMs();
    const second = Math.floor((now - startedAt) / 1000);
    const before = ids.size;
    ids.add(request.headers['webhook-id'] as string);
    arrivals += 1;
    if (ids.size > before) {
      lastAt = now;
      perSecond[second] = (perSecond[second] ?? 0) + 1;
    }
    if (isOpen) {
      response.end('ok');
    } else {
      held.push(response);
    }
  });
});

export interface Arrivals {
  /** Different deliveries since the count began. */
  readonly delivered: number;
  readonly duplicates: number;
  /** Different deliveries in each second since the count began. */
  readonly perSecond: readonly number[];
  /** When the last of them came, in milliseconds on the clock that all processes share. */
  readonly lastAt: number;
}

const calls = {
  start: () =>
    new Promise<string>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),

  /** Forgets what has arrived, and counts what arrives from now on. */
  count: () => {
    ids.clear();
    arrivals = 0;
    perSecond = [];
    startedAt = nowMs();
    lastAt = startedAt;
  },

  shut: () => {
    isOpen = false;
  },

  /** Answers what was held, and all that comes from now on. */
  open: () => {
    isOpen = true;
    for (const response of held) {
      response.end('ok');
    }
    held = [];
  },

  arrivals: (): Arrivals => ({
    delivered: ids.size,
    duplicates: arrivals - ids.size,
    perSecond: Array.from(perSecond, (count) => count ?? 0),
    lastAt,
  }),
};
export type CountingReceiverCalls = typeof calls;
serveCalls(calls);
