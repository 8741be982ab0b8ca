import { describe, expect, test } from '@jest/globals';
import type { AccountRoutes } from '../../src/core/account-routes.ts';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { AcceptedBatch, RouteAll } from '../../src/storage/event-store.ts';
import { changeRoutes, storedRouting } from '../support/route-changes.ts';
import { NOW, routeAtOnce } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

const routeAllAtOnce: RouteAll = (routes, events) => events.map((event) => routes.route(event));

describe.each(STORES)('batches of events on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  interface Given {
    readonly token: string;
    readonly payloads: readonly string[];
    readonly key?: string | null;
    readonly hash?: string;
    readonly ids?: readonly string[];
    readonly route?: RouteAll;
  }

  const reads = () => store.storage.reads(EVERYTHING).events;
  const countOf = (accountId: string) => reads().eventCountOf(accountId);

  function acceptBatch(given: Given): Promise<AcceptedBatch | undefined> {
    const { token, payloads, key = null, hash = 'h', ids = [], route = routeAllAtOnce } = given;
    const contents = payloads.map((text, index) => ({ id: ids[index] ?? fixture.newId(), payload: Buffer.from(text) }));
    const batch = { contents, type: null, idempotencyKey: key, hash: key === null ? null : hash };
    return store.storage.events.acceptBatch(token, { ...batch, receivedAt: NOW, hops: 0 }, route);
  }

  function accept(token: string, key: string | null = null) {
    const event = { id: fixture.newId(), token, payload: Buffer.from('{}'), type: null, receivedAt: NOW, hops: 0 };
    return store.storage.events.accept({ ...event, idempotencyKey: key }, routeAtOnce);
  }

  test('each event is stored with its bytes and its own fan-out, beside other batches and events of the same commit', async () => {
    const { id: accountId, token, destinationIds } = await fixture.account(3);
    await changeRoutes(store.storage, { accountId, destinationId: destinationIds[1] as string, filter: '{"n":1}' });
    const payloads = Array.from({ length: 600 }, (_, index) => `{ "n":${index % 3}, "i":${index} }`);
    const keys = [null, 'k', null, 'l'];
    const [batches] = await Promise.all([
      Promise.all(keys.map((key) => acceptBatch({ token, payloads, key }))),
      Promise.all([accept(token), accept(token, 'm')]),
    ]);
    for (const batch of batches) {
      const events = batch !== undefined && 'events' in batch ? batch.events : [];
      expect(events.map(({ payload }) => payload.toString())).toEqual(payloads);
      for (const [index, { id, fanOut }] of [...events.entries()].filter(([place]) => place % 97 === 0)) {
        const isRouted = index % 3 === 1;
        const expected = destinationIds.filter((destinationId) => isRouted || destinationId !== destinationIds[1]);
        expect(fanOut.destinationIds).toEqual(expected);
        expect((await storedRouting(store.storage, id)).destinationIds).toEqual(expected);
        expect((await reads().payload(id))?.toString()).toBe(payloads[index]);
      }
    }
    expect(await countOf(accountId)).toBe(4 * 600 + 2);
  });

  test('an unknown token stores nothing', async () => {
    const { id, token } = await fixture.account(1);
    const [nothing, something] = await Promise.all([
      acceptBatch({ token: 'nobody', payloads: ['{}', '{}'] }),
      acceptBatch({ token, payloads: ['{}'] }),
    ]);
    expect(nothing).toBeUndefined();
    expect(something).toMatchObject({ events: [{}] });
    expect(await countOf(id)).toBe(1);
  });

  test.each([null, 'k'])('all events are routed again when the routes have changed, with the key %s', async (key) => {
    const { id: accountId, token, destinationIds } = await fixture.account(2);
    const seen: AccountRoutes[] = [];
    const route: RouteAll = async (routes, events) => {
      seen.push(routes);
      const routed = events.map((event) => routes.route(event));
      if (seen.length === 1) {
        await changeRoutes(store.storage, { accountId, destinationId: destinationIds[0] as string, isEnabled: false });
      }
      return routed;
    };
    const batch = await acceptBatch({ token, payloads: ['{}', '{"a":1}', '{}'], key, route });
    expect(seen).toHaveLength(2);
    const events = batch !== undefined && 'events' in batch ? batch.events : [];
    expect(events.flatMap(({ fanOut }) => fanOut.destinationIds)).toEqual(Array(3).fill(destinationIds[1]));
    for (const { id } of events) {
      expect((await storedRouting(store.storage, id)).destinationIds).toEqual([destinationIds[1]]);
    }
    expect(await countOf(accountId)).toBe(3);
  });

  test('of many with one key in the same commit one is stored, and the others learn its events', async () => {
    const { id: accountId, token } = await fixture.account(2);
    const { id: otherId, token: otherToken } = await fixture.account(1);
    const payloads = ['{"a":1}', '{"a":2}', '{"a":3}'];
    const [same, other] = await Promise.all([
      Promise.all(Array.from({ length: 50 }, () => acceptBatch({ token, payloads, key: 'k' }))),
      acceptBatch({ token: otherToken, payloads, key: 'k' }),
    ]);
    const stored = same.flatMap((batch) => (batch !== undefined && 'events' in batch ? [batch.events] : []));
    const earlier = same.flatMap((batch) => (batch !== undefined && 'earlier' in batch ? [batch.earlier] : []));
    expect([stored.length, earlier.length]).toEqual([1, 49]);
    const events = stored[0]?.map(({ id }) => ({ id, deliveries: 2 }));
    expect(earlier).toEqual(earlier.map(() => ({ hasSamePayload: true, hasSameType: true, events })));
    expect(other).toMatchObject({ events: [{}, {}, {}] });
    expect([await countOf(accountId), await countOf(otherId)]).toEqual([3, 3]);
  });

  test('a key that an event has is not given to a batch, and the other way round', async () => {
    const { id, token } = await fixture.account(1);
    await accept(token, 'event');
    await acceptBatch({ token, payloads: ['{}', '{}'], key: 'batch' });
    expect(await acceptBatch({ token, payloads: ['{}', '{}'], key: 'event' })).toMatchObject({
      earlier: { hasSamePayload: false },
    });
    expect((await accept(token, 'batch'))?.earlier).toMatchObject({ hasSamePayload: false });
    const other = await acceptBatch({ token, payloads: ['{}', '{}'], key: 'batch', hash: 'other' });
    expect(other).toMatchObject({ earlier: { hasSamePayload: false } });
    expect(await countOf(id)).toBe(3);
  });

  test.each([null, 'k'])(
    'a batch with an event that the database refuses is refused as a whole, and no other is, with the key %s',
    async (key) => {
      const { id: accountId, token } = await fixture.account(2);
      const taken = fixture.newId();
      await acceptBatch({ token, payloads: ['{}'], ids: [taken] });
      const ids = [fixture.newId(), taken];
      const [bad, ...good] = await Promise.allSettled([
        acceptBatch({ token, payloads: ['{}', '{}', '{}'], ids, key }),
        acceptBatch({ token, payloads: ['{}', '{}'], key: key && 'l' }),
        acceptBatch({ token, payloads: ['{}'] }),
        accept(token),
      ]);
      expect(bad).toMatchObject({ status: 'rejected', reason: { name: 'ItemRefusedError' } });
      expect(good.map(({ status }) => status)).toEqual(Array(3).fill('fulfilled'));
      expect(await countOf(accountId)).toBe(1 + 2 + 1 + 1);
    },
  );
});
