import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { deliveriesOf, finishedDelivery } from '../support/deliveries.ts';
import { OrderCheck, orderedOf } from '../support/order-receiver.ts';
import { Receiver } from '../support/receiver.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { TestApp } from '../support/test-app.ts';

const EVENTS_PER_KEY = 20;
const SEED = 20_261_125;

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms' });
});
afterAll(() => app.stop());
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());

async function ordered(policy: Readonly<Record<string, unknown>> = {}) {
  const { id, token } = await app.createAccount();
  const destinationId = await app.createDestination(id, receiver.url(), { policy: { orderBy: 'key', ...policy } });
  return {
    destinationId,
    /** @returns the id of the event */
    send: (key: string, n: number) => app.sendAccepted(token, JSON.stringify({ key, n })),
  };
}

/** The answers are held until they are asked for. */
function holdAnswers(): Map<string, ServerResponse> {
  const held = new Map<string, ServerResponse>();
  receiver.answerWith((response, received) => {
    const { key, n } = orderedOf(received);
    held.set(`${key}${n}`, response);
  });
  return held;
}

function arrivals(): string[] {
  return receiver.received.map((received) => {
    const { key, n } = orderedOf(received);
    return `${key}${n}`;
  });
}

async function pendingOf(destinationId: string): Promise<number> {
  const query = 'query ($id: ID!) { destination(id: $id) { deliveries(status: PENDING) { totalCount } } }';
  return (await app.data(query, { id: destinationId })).destination.deliveries.totalCount;
}

test('deliveries of each key arrive in the order of their events, whatever fails', async () => {
  const { destinationId, send } = await ordered({ retrySchedule: ['PT0.001S', 'PT0.02S'] });
  const check = new OrderCheck();
  const random = seededRandom(SEED);
  receiver.answerWith((response, received) => {
    check.begin(received);
    setImmediate(() => check.end(received, response, random() < 0.4 ? 500 : 200));
  });
  const keys = ['a', 'b', 'c'];
  await Promise.all(
    keys.map(async (key) => {
      for (let n = 1; n <= EVENTS_PER_KEY; n += 1) {
        await send(key, n);
      }
    }),
  );
  await app.eventually(
    () => pendingOf(destinationId),
    (count) => count === 0,
  );
  expect(check.inversions).toEqual([]);
  const arrived = new Set(arrivals());
  expect(arrived.size).toBe(keys.length * EVENTS_PER_KEY);
});

test('a later one waits until the earlier one has an answer, and other keys go on', async () => {
  const { send } = await ordered();
  const held = holdAnswers();
  await send('a', 1);
  const waiting = await send('a', 2);
  await send('b', 1);
  await receiver.arrived(2);
  expect(arrivals().toSorted()).toEqual(['a1', 'b1']);
  expect(await deliveriesOf(app, waiting)).toMatchObject([
    { status: 'PENDING', attemptCount: 0, nextAttemptAt: null, attempts: [] },
  ]);
  held.get('b1')?.end();
  await send('b', 2);
  await receiver.arrived(3);
  held.get('a1')?.end();
  await receiver.arrived(4);
  expect(arrivals().slice(2)).toEqual(['b2', 'a2']);
});

test('a later one goes on once the earlier one has failed for good', async () => {
  const { send } = await ordered({ retrySchedule: ['PT0.05S'] });
  receiver.answerWith((response, received) => {
    response.writeHead(orderedOf(received).n === 1 ? 500 : 200).end();
  });
  const [first, second] = [await send('a', 1), await send('a', 2)];
  expect(await finishedDelivery(app, second)).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1 });
  expect(await finishedDelivery(app, first)).toMatchObject({ status: 'FAILED', attemptCount: 2 });
  expect(arrivals()).toEqual(['a1', 'a1', 'a2']);
});

test('a manual retry of an earlier one neither waits nor holds anybody up', async () => {
  const { send } = await ordered({ retrySchedule: [] });
  receiver.answerWith((response) => response.writeHead(500).end());
  const failed = await finishedDelivery(app, await send('a', 1));
  expect(failed.status).toBe('FAILED');
  const held = holdAnswers();
  await send('a', 2);
  await receiver.arrived(2);
  await app.data('mutation ($id: ID!) { retryDelivery(id: $id) { id } }', { id: failed.id });
  await receiver.arrived(3);
  held.get('a2')?.end();
  await send('a', 3);
  await receiver.arrived(4);
  expect(arrivals()).toEqual(['a1', 'a2', 'a1', 'a3']);
});

test('orderBy "*" holds for all events of the destination', async () => {
  const { send } = await ordered({ orderBy: '*' });
  const held = holdAnswers();
  await send('a', 1);
  await receiver.arrived(1);
  await send('b', 1);
  await send('c', 1);
  held.get('a1')?.end();
  await receiver.arrived(2);
  held.get('b1')?.end();
  expect((await receiver.arrived(3)).map(orderedOf).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
});

test('events without the path have no order', async () => {
  const { send } = await ordered({ orderBy: 'customer.id' });
  holdAnswers();
  await Promise.all([send('a', 1), send('a', 2), send('a', 3)]);
  await receiver.arrived(3);
  expect(arrivals().toSorted()).toEqual(['a1', 'a2', 'a3']);
});

test('a key with a long backlog delays no other key, and goes on without pauses', async () => {
  const { send } = await ordered();
  const count = 300;
  const held = holdAnswers();
  for (let n = 1; n <= count; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => send('hot', n + index)));
  }
  await receiver.arrived(1);
  await send('other', 1);
  await receiver.arrived(2);
  expect(arrivals()[1]).toBe('other1');
  receiver.answerWith((response) => response.end());
  const start = performance.now();
  [...held.values()].forEach((response) => response.end());
  await receiver.arrived(count + 1);
  const perSecond = (count / (performance.now() - start)) * 1_000;
  // Where each waited for a sweep it would be 2.
  expect(perSecond).toBeGreaterThan(10);
  process.stdout.write(`deliveries of one key: ${perSecond.toFixed(0)}/s\n`);
}, 60_000);
