import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AccountRoutes, type StoredRoutes } from '../../src/core/account-routes.ts';
import { SharedMemory } from '../../src/core/shared-memory.ts';
import { EventRouter } from '../../src/ingest/event-router.ts';

const PLAIN: StoredRoutes = {
  tokenHash: 'T',
  accountId: 'A',
  version: 1,
  eventTypePath: null,
  destinations: [
    ['one', true, null, null, null],
    ['two', false, null, null, null],
  ],
};
const RULED: StoredRoutes = {
  ...PLAIN,
  eventTypePath: 'type',
  destinations: [
    ['one', true, '["order.*"]', null, null],
    ['two', true, null, '{"items.sku":"x"}', null],
    ['three', true, null, '{"items.sku":"y"}', null],
    ['four', false, null, null, null],
  ],
};
const LARGE = Buffer.from(JSON.stringify({ padding: 'x'.repeat(200_000), type: 'order.paid', items: [{ sku: 'y' }] }));
const SMALL = Buffer.from('{"type":"order.paid","items":[{"sku":"y"}]}');

let router: EventRouter;

beforeEach(() => {
  router = new EventRouter();
});
afterEach(() => router.stop());

const route = (stored: StoredRoutes, payload: Buffer, type: string | null = null) =>
  router.route(new AccountRoutes(stored), { type, payload });

describe('an event', () => {
  test('of a plain account is routed at once, and has the fan-out of all its others', () => {
    const routes = new AccountRoutes(PLAIN);
    const routed = [LARGE, Buffer.from('this is never parsed')].map((payload) =>
      router.route(routes, { type: 'a', payload }),
    );
    expect(routed[0]).toEqual({
      type: 'a',
      fanOut: {
        tokenHash: 'T',
        accountId: 'A',
        version: 1,
        destinationIds: ['one'],
        skipped: '[["two","DISABLED"]]',
        orderKeys: null,
      },
    });
    expect((routed[1] as { fanOut: unknown }).fanOut).toBe((routed[0] as { fanOut: unknown }).fanOut);
  });

  test('with a small payload and few rules is routed at once', () => {
    expect(route(RULED, SMALL)).toMatchObject({
      type: 'order.paid',
      fanOut: {
        destinationIds: ['one', 'three'],
        skipped: JSON.stringify([
          ['two', 'FILTERED', 'items.sku'],
          ['four', 'DISABLED'],
        ]),
      },
    });
  });

  test('with a large payload is routed in the thread, with the same result', async () => {
    const expected = route(RULED, SMALL);
    const routed = route(RULED, LARGE);
    expect(routed).toBeInstanceOf(Promise);
    expect(await routed).toEqual(expected);
  });

  test('with many rules is routed in the thread', async () => {
    const filter = JSON.stringify({ $or: Array.from({ length: 800 }, (_, n) => ({ n })) });
    const many = Array.from({ length: 12 }, (_, n) => [`${n}`, true, null, filter, null] as const);
    const routed = route({ ...PLAIN, destinations: many }, Buffer.from('{"n":799}'));
    expect(routed).toBeInstanceOf(Promise);
    expect((await routed).fanOut.destinationIds).toHaveLength(12);
  });

  test('in shared memory is read where it stands, and stays whole', async () => {
    const memory = new SharedMemory(1_048_576).allocate(LARGE.length) as Buffer;
    LARGE.copy(memory);
    expect(await route(RULED, memory)).toEqual(route(RULED, SMALL));
    expect(memory.equals(LARGE)).toBe(true);
  });

  test('whose rules cannot be read is refused, and the next is routed', async () => {
    const broken = { ...RULED, version: 2, destinations: [['one', true, null, '{"$no":1}', null] as const] };
    await expect(async () => route(broken, LARGE)).rejects.toThrow('Routing has failed');
    expect((await route(RULED, LARGE)).type).toBe('order.paid');
  });
});

test('the events of a batch are routed in their order, and other work goes on in between', async () => {
  let turns = 0;
  let isDone = false;
  const turn = (): void => {
    turns += 1;
    if (!isDone) {
      setImmediate(turn);
    }
  };
  setImmediate(turn);
  const padding = 'x'.repeat(30_000);
  const payloads = Array.from({ length: 1_000 }, (_, n) =>
    n === 500 ? LARGE : Buffer.from(JSON.stringify({ padding, type: n % 2 === 0 ? 'order.paid' : 'login', n })),
  );
  const events = payloads.map((payload) => ({ type: null, payload }));
  const routed = await router.routeAll(new AccountRoutes(RULED), events);
  isDone = true;
  expect(routed.map(({ type }) => type)).toEqual(events.map((_, n) => (n % 2 === 0 ? 'order.paid' : 'login')));
  expect(routed[500]?.fanOut.destinationIds).toEqual(['one', 'three']);
  expect(routed[501]?.fanOut.destinationIds).toEqual([]);
  expect(turns).toBeGreaterThan(2);
});

test('accounts take turns in the thread', async () => {
  const ended: string[] = [];
  const routeOf = async (accountId: string) => {
    await route({ ...RULED, accountId, tokenHash: accountId }, LARGE);
    ended.push(accountId);
  };
  await Promise.all(['busy', 'busy', 'busy', 'busy', 'other'].map(routeOf));
  expect(ended).toEqual(['busy', 'busy', 'other', 'busy', 'busy']);
});

test('what waits when the router stops is refused', async () => {
  const routed = [route(RULED, LARGE), route(RULED, LARGE)].map(async (one) => one);
  const settled = Promise.allSettled(routed);
  await router.stop();
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
