import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { RequestSource } from '../../src/core/outgoing-request.ts';
import type { ToThread } from '../../src/dispatch/sender-messages.ts';
import { SenderPool } from '../../src/dispatch/sender-pool.ts';
import { Telemetry } from '../../src/observe/telemetry.ts';
import { Receiver } from '../support/receiver.ts';
import { requestSource } from '../support/request-source.ts';

let threads: Worker[];
let logged: { level: number; msg: string; brokenOff: number }[];
let pool: SenderPool;
let receiver: Receiver;
let request: RequestSource;

/** Node tells of every thread that is made. */
function onThread(message: unknown): void {
  threads.push((message as { worker: Worker }).worker);
}

beforeEach(async () => {
  threads = [];
  logged = [];
  subscribe('worker_threads', onThread);
  receiver = await Receiver.start(() => undefined);
  request = requestSource({ url: receiver.url() });
});
afterEach(async () => {
  pool.close();
  unsubscribe('worker_threads', onThread);
  await receiver.stop();
});

function startPool(count: number): void {
  const egress = { rule: undefined, proxyUrl: undefined };
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  pool = new SenderPool({
    threads: count,
    userAgent: 'test',
    timeoutMs: 15_000,
    egress,
    telemetry: new Telemetry(log),
  });
}

async function killThreads(): Promise<void> {
  await Promise.all(threads.map((thread) => thread.terminate()));
}

test('what a thread had in hand when it died counts as broken off, and is told as an error', async () => {
  startPool(1);
  const sent = [pool.send(request, 0), pool.send(request, 0)];
  await receiver.arrived(2);
  await killThreads();
  expect(await Promise.all(sent)).toEqual([undefined, undefined]);
  expect(logged).toMatchObject([{ level: 50, msg: 'sender thread died', brokenOff: 2 }]);
});

test('a thread that died is replaced, and requests wait for it when there is no other', async () => {
  startPool(2);
  await killThreads();
  receiver.answerWith((response) => response.end());
  expect(await pool.send(request, 0)).toMatchObject({ statusCode: 200, error: null });
  expect(threads.length).toBeGreaterThan(2);
});

test('the other threads go on when one dies', async () => {
  startPool(2);
  const sent = Array.from({ length: 20 }, () => pool.send(request, 0));
  await receiver.arrived(20);
  await threads[0]?.terminate();
  receiver.answerWith((response) => response.end());
  expect(await pool.send(request, 0)).toMatchObject({ statusCode: 200 });
  pool.close();
  await Promise.all(sent);
  expect(logged).toHaveLength(1);
  expect(logged[0]?.brokenOff).toBeGreaterThan(0);
  expect(logged[0]?.brokenOff).toBeLessThan(20);
});

test('a close while a thread is being replaced breaks off what waits for it', async () => {
  startPool(1);
  await killThreads();
  const waiting = pool.send(request, 0);
  pool.close();
  expect(await waiting).toBeUndefined();
  expect(threads).toHaveLength(1);
});

test('a close ends a thread that does not come round any more', async () => {
  startPool(1);
  const sent = pool.send(request, 0);
  await receiver.arrived(1);
  const exited = once(threads[0] as Worker, 'exit');
  // To go through so many takes longer than any test.
  const cleared: number[] = [];
  cleared.length = 2 ** 32 - 1;
  const destination = { slot: 0, source: undefined, cleared };
  const message = { deliveryId: '', eventId: '', eventType: null, attempt: 1, hops: 0 };
  const content = { ...message, destination, sentAt: 0 };
  const batch: ToThread = { messages: [{ id: 0, content, body: undefined }], bodies: new ArrayBuffer(0) };
  threads[0]?.postMessage(batch);
  pool.close();
  expect(await sent).toBeUndefined();
  await exited;
  expect(logged).toEqual([]);
});
