import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type DeliverySeen, finishedDelivery } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

type Policy = Readonly<Record<string, unknown>>;

let receiver: Receiver;

beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());

async function setPolicy(app: TestApp, id: string, policy: Policy): Promise<void> {
  const query = `mutation ($id: ID!, $policy: DeliveryPolicyInput!) {
    updateDestination(id: $id, input: { policy: $policy }) { id }
  }`;
  await app.data(query, { id, policy });
}

describe.each([
  ['on the main thread', '0'],
  ['in threads', '2'],
])('requests that are sent %s', (_where, senderThreads) => {
  let app: TestApp;

  beforeAll(async () => {
    app = await TestApp.start({
      RETRY_SCHEDULE: '1ms,1ms',
      DELIVERY_TIMEOUT: '20s',
      SENDER_THREADS: senderThreads,
    });
  });
  afterAll(() => app.stop());

  async function deliver(policy: Policy): Promise<DeliverySeen> {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url(), { policy });
    return finishedDelivery(app, await app.sendAccepted(token, '{"n":1}'));
  }

  test("end by the destination's own timeout", async () => {
    receiver.answerWith(() => undefined);
    const { status, attempts } = await deliver({ timeout: 'PT0.3S', retrySchedule: [] });
    expect([status, attempts.length, attempts[0]?.error]).toEqual(['FAILED', 1, 'TIMEOUT']);
    expect(attempts[0]?.durationMs).toBeGreaterThanOrEqual(290);
    expect(attempts[0]?.durationMs).toBeLessThan(5_000);
  });

  test('with different timeouts end each at its own time', async () => {
    receiver.answerWith(() => undefined);
    const [slow, quick] = await Promise.all([
      deliver({ timeout: 'PT1S', retrySchedule: [] }),
      deliver({ timeout: 'PT0.2S', retrySchedule: [] }),
    ]);
    expect(slow.attempts[0]?.durationMs).toBeGreaterThanOrEqual(990);
    expect(quick.attempts[0]?.durationMs).toBeGreaterThanOrEqual(190);
    expect(quick.attempts[0]?.durationMs).toBeLessThan(990);
  });

  test.each([
    ['PT0.001S', ['PT0.001S', 'PT0.001S', 'PT0.001S', 'PT0.001S'], 5],
    ['none', [], 1],
  ])('are retried by its own schedule: %s', async (_waits, retrySchedule, attempts) => {
    receiver.answerWith((response) => response.writeHead(500).end());
    expect(await deliver({ retrySchedule })).toMatchObject({ status: 'FAILED', attemptCount: attempts });
  });

  test('are not repeated after a status that ends a delivery', async () => {
    receiver.answerWith((response) => response.writeHead(404).end());
    expect(await deliver({ stopOn: [404] })).toMatchObject({ status: 'FAILED', attemptCount: 1 });
    expect(await deliver({ stopOn: [422] })).toMatchObject({ status: 'FAILED', attemptCount: 3 });
  });
});

test('a change holds for what is claimed after its answer', async () => {
  await using app = await startApp({ RETRY_SCHEDULE: '1ms' });
  receiver.answerWith((response) => response.writeHead(500).end());
  const { id, token } = await app.createAccount();
  const destinationId = await app.createDestination(id, receiver.url());
  const attempts = async () => (await finishedDelivery(app, await app.sendAccepted(token, '{}'))).attemptCount;
  expect(await attempts()).toBe(2);
  await setPolicy(app, destinationId, { retrySchedule: [] });
  expect(await attempts()).toBe(1);
  await setPolicy(app, destinationId, { retrySchedule: ['PT0.001S', 'PT0S'] });
  expect(await attempts()).toBe(3);
  await setPolicy(app, destinationId, { stopOn: [500] });
  expect(await attempts()).toBe(1);
  await setPolicy(app, destinationId, { retrySchedule: null, stopOn: null });
  expect(await attempts()).toBe(2);
});

test('what a rate limit holds back waits without an attempt, and goes on when the limit is removed', async () => {
  await using app = await startApp({ MAX_CONCURRENCY: '2', MAX_CONCURRENCY_PER_DESTINATION: '2' });
  const { id, token } = await app.createAccount();
  const rateLimit = { count: 1, per: 'P1D' };
  const limited = await app.createDestination(id, receiver.url('/limited'), { policy: { rateLimit } });
  await app.createDestination(id, receiver.url('/other'));
  const events = await Promise.all(
    Array.from({ length: 5 }, (_, number) => app.sendAccepted(token, `{"n":${number}}`)),
  );
  const counts = () =>
    ['/limited', '/other'].map((path) => receiver.received.filter(({ target }) => target === path).length);
  await receiver.arrived(events.length + 1);
  expect(counts()).toEqual([1, events.length]);
  const query = 'query ($id: ID!) { destination(id: $id) { deliveries { nodes { status attemptCount } } } }';
  const { nodes } = (await app.data(query, { id: limited })).destination.deliveries;
  const waiting = nodes.filter(({ attemptCount }: { attemptCount: number }) => attemptCount === 0);
  expect(waiting).toEqual(Array.from({ length: events.length - 1 }, () => ({ status: 'PENDING', attemptCount: 0 })));
  await setPolicy(app, limited, { rateLimit: null });
  await receiver.arrived(2 * events.length);
  expect(counts()).toEqual([events.length, events.length]);
});

describe('maxConcurrency', () => {
  test.each([
    ['lower than the default', '8', 1],
    ['higher than the default', '1', 3],
  ])('%s: never more at once, and another destination goes on', async (_how, perDestination, maxConcurrency) => {
    await using app = await startApp({ MAX_CONCURRENCY_PER_DESTINATION: perDestination, SENDER_THREADS: '1' });
    const { open, seen, release } = hold();
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/held'), { policy: { maxConcurrency } });
    await app.createDestination(id, receiver.url('/other'));
    const events = 12;
    await Promise.all(Array.from({ length: events }, (_, number) => app.sendAccepted(token, `{"n":${number}}`)));
    await receiver.arrived(events + maxConcurrency);
    expect(seen.other).toBe(events);
    for (let sent = maxConcurrency; sent < events; sent += 1) {
      release();
      await receiver.arrived(events + sent + 1);
    }
    open.splice(0).forEach((answer) => answer());
    expect(receiver.received.filter(({ target }) => target === '/held')).toHaveLength(events);
    expect(seen.most).toBe(maxConcurrency);
  });

  test('that is raised is learnt', async () => {
    await using app = await startApp({});
    const { seen, release } = hold();
    const { id, token } = await app.createAccount();
    const held = await app.createDestination(id, receiver.url('/held'), { policy: { maxConcurrency: 1 } });
    await Promise.all(Array.from({ length: 8 }, (_, number) => app.sendAccepted(token, `{"n":${number}}`)));
    await receiver.arrived(1);
    await setPolicy(app, held, { maxConcurrency: 4 });
    release();
    await receiver.arrived(2);
    release();
    await receiver.arrived(6);
    expect(seen.most).toBe(4);
    receiver.answerWith((response) => response.end());
    Array.from({ length: 8 }, release);
    await receiver.arrived(8);
  });
});

async function startApp(variables: Record<string, string>): Promise<TestApp & AsyncDisposable> {
  const app = await TestApp.start(variables);
  return Object.assign(app, { [Symbol.asyncDispose]: () => app.stop() });
}

/** Holds every request to `/held` until it is released, and counts how many are open at once. */
function hold() {
  const open: (() => void)[] = [];
  const seen = { most: 0, other: 0 };
  receiver.answerWith((response, { target }) => {
    if (target === '/held') {
      open.push(() => response.end());
      seen.most = Math.max(seen.most, open.length);
    } else {
      seen.other += 1;
      response.end();
    }
  });
  const release = () => open.shift()?.();
  return { open, seen, release };
}
