import { describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { AcceptedEvent } from '../../src/storage/event-store.ts';
import { NOW, routeAtOnce } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

const DAY_MS = 24 * 3_600_000;
const PAYLOAD = Buffer.from('{"a":1}');

describe.each(STORES)('events with a key on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  interface Given {
    readonly token: string;
    readonly key: string | null;
    readonly at?: number;
    readonly payload?: Buffer;
    readonly type?: string | null;
  }

  async function accept(given: Given): Promise<AcceptedEvent & { id: string }> {
    const { token, key, at = NOW, payload = PAYLOAD, type = null } = given;
    const id = fixture.newId();
    const event = { id, token, payload, type, idempotencyKey: key, receivedAt: at, hops: 0 };
    const accepted = await store.storage.events.accept(event, routeAtOnce);
    if (accepted === undefined) {
      throw new Error('The token is unknown.');
    }
    return { id, ...accepted };
  }
  const countOf = (accountId: string) => store.storage.reads(EVERYTHING).events.eventCountOf(accountId);

  test('a second one is not stored, and is told of the first and whether it is the same', async () => {
    const { id: accountId, token } = await fixture.account(2);
    const first = await accept({ token, key: 'k' });
    expect(first).toMatchObject({ tickets: [{}, {}] });
    expect(first.earlier).toBeUndefined();
    const same = { id: first.id, deliveries: 2, hasSamePayload: true, hasSameType: true, batch: null };
    expect((await accept({ token, key: 'k' })).earlier).toEqual(same);
    const other = await accept({ token, key: 'k', payload: Buffer.from('{"a":2}') });
    expect(other).toMatchObject({ tickets: [], earlier: { id: first.id, hasSamePayload: false } });
    expect(await countOf(accountId)).toBe(1);
  });

  test('a second one of another type is told apart, also where one of them has none', async () => {
    const { token } = await fixture.account(1);
    await accept({ token, key: 'none' });
    await accept({ token, key: 'typed', type: 'order.paid' });
    const compare = async (key: string, type: string | null) => {
      const { earlier } = await accept({ token, key, type });
      return [earlier?.hasSamePayload, earlier?.hasSameType];
    };
    expect(await compare('none', null)).toEqual([true, true]);
    expect(await compare('none', 'order.paid')).toEqual([true, false]);
    expect(await compare('typed', 'order.paid')).toEqual([true, true]);
    expect(await compare('typed', 'order.line')).toEqual([true, false]);
    expect(await compare('typed', null)).toEqual([true, false]);
  });

  test('of many in the same commit one is stored, with its deliveries, and the keys of others are their own', async () => {
    const { id: accountId, token } = await fixture.account(1);
    const { token: otherToken } = await fixture.account(1);
    const [same, others, plain] = await Promise.all([
      Promise.all(Array.from({ length: 100 }, () => accept({ token, key: 'same' }))),
      Promise.all(['same', 'SAME', 'same '].map((key) => accept({ token: otherToken, key }))),
      Promise.all(Array.from({ length: 100 }, () => accept({ token, key: null }))),
    ]);
    const [first, ...more] = same.filter(({ earlier }) => earlier === undefined);
    expect(more).toEqual([]);
    const earlier = same.flatMap((one) => one.earlier ?? []);
    expect(new Set(earlier.map(({ id }) => id))).toEqual(new Set([first?.id]));
    expect(earlier.every(({ deliveries, hasSamePayload }) => deliveries === 1 && hasSamePayload)).toBe(true);
    expect([first, ...others, ...plain].map((one) => one?.tickets.length)).toEqual(Array(104).fill(1));
    expect(await countOf(accountId)).toBe(101);
  });

  test('a key is free again after 24 hours, for one of many that ask for it', async () => {
    const { id: accountId, token } = await fixture.account(1);
    const first = await accept({ token, key: 'k' });
    expect((await accept({ token, key: 'k', at: NOW + DAY_MS - 1 })).earlier?.id).toBe(first.id);
    const next = await Promise.all(Array.from({ length: 20 }, () => accept({ token, key: 'k', at: NOW + DAY_MS })));
    const stored = next.filter(({ earlier }) => earlier === undefined);
    expect(stored).toHaveLength(1);
    expect(new Set(next.flatMap(({ earlier }) => earlier?.id ?? []))).toEqual(new Set([stored[0]?.id]));
    expect(await countOf(accountId)).toBe(2);
    expect((await accept({ token, key: 'k', at: NOW + 2 * DAY_MS - 1 })).earlier?.id).toBe(stored[0]?.id);
  });

  test('a key outlives the token that it came with', async () => {
    const { id, token } = await fixture.account(0);
    const first = await accept({ token, key: 'k' });
    expect((await accept({ token: await fixture.rotateToken(id), key: 'k' })).earlier?.id).toBe(first.id);
  });
});
