/** Runs in a thread of its own, and routes the events that it is given. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { AccountRoutes, type StoredRoutes } from '../core/account-routes.ts';
import type { RoutingAnswer, RoutingOrder } from './event-router.ts';

const BYTES_MAX = 128 * 1_048_576;

const mainThread = parentPort as MessagePort;
const known = new LRUCache<string, AccountRoutes>({ maxSize: BYTES_MAX, sizeCalculation: ({ bytes }) => bytes });

mainThread.on('message', ({ routes, type, payload }: RoutingOrder) => {
  const { buffer, byteOffset, length } = payload;
  mainThread.postMessage(answerTo(routes, type, Buffer.from(buffer, byteOffset, length)));
});

function answerTo(stored: StoredRoutes, type: string | null, payload: Buffer): RoutingAnswer {
  try {
    return compiled(stored).route({ type, payload });
  } catch (error) {
    return { message: (error as Error).message };
  }
}

function compiled(stored: StoredRoutes): AccountRoutes {
  const key = `${stored.tokenHash} ${stored.version}`;
  const routes = known.get(key) ?? new AccountRoutes(stored);
  known.set(key, routes);
  return routes;
}
