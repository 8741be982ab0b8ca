import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveCalls } from './worker.ts';

/**
 * A destination with a gate. While it is shut, requests arrive and wait for their answer; so a sender comes
 * to a stand with as many requests under way as it makes at a time. From the moment the gate opens until the
 * last arrival, nothing limits the sender but itself.
 */
let isOpen = true;
let held: ServerResponse[] = [];
const ids = new Set<string>();
let arrivals = 0;
let arrivalsBefore = 0;
let openedAt = 0n;
let lastAt = 0n;
let expected = Number.POSITIVE_INFINITY;
let onComplete: (() => void) | undefined;

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    arrivals += 1;
    ids.add(request.headers['webhook-id'] as string);
    if (isOpen) {
      response.end('ok');
    } else {
      held.push(response);
    }
    if (ids.size >= expected) {
      lastAt = process.hrtime.bigint();
      onComplete?.();
    }
  });
});

export interface Drained {
  readonly perSecond: number;
  /** How many arrived that had arrived before. */
  readonly duplicates: number;
  /** On the monotonic clock that all processes share, in microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
}

const calls = {
  start: () =>
    new Promise<string>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`));
    }),

  /** Forgets what has arrived, and holds what comes from now on. */
  shut: () => {
    isOpen = false;
    arrivals = 0;
    ids.clear();
  },

  arrivals: () => arrivals,

  /** Opens the gate, and resolves when `total` different requests have arrived since it was shut. */
  open: async (total: number): Promise<Drained> => {
    arrivalsBefore = ids.size;
    expected = total;
    const complete = new Promise<void>((resolve) => {
      onComplete = resolve;
    });
    isOpen = true;
    openedAt = process.hrtime.bigint();
    for (const response of held) {
      response.end('ok');
    }
    held = [];
    await complete;
    expected = Number.POSITIVE_INFINITY;
    const seconds = Number(lastAt - openedAt) / 1e9;
    return {
      perSecond: (total - arrivalsBefore) / seconds,
      duplicates: arrivals - ids.size,
      fromUs: Number(openedAt / 1000n),
      toUs: Number(lastAt / 1000n),
    };
  },
};
export type ReceiverCalls = typeof calls;
serveCalls(calls);
