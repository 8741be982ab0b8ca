import { describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import { NOW, routeAtOnce } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

describe.each(STORES)('events on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  const accept = (token: string, payload: Buffer, id = fixture.newId()) =>
    store.storage.events.accept(
      { id, token, payload, type: null, idempotencyKey: null, receivedAt: NOW, hops: 0 },
      routeAtOnce,
    );
  const reads = () => store.storage.reads(EVERYTHING).events;

  test('an event is stored with one delivery for each destination of its account, and of no other', async () => {
    const account = await fixture.account(3);
    await fixture.account(2);
    const id = fixture.newId();
    const accepted = await accept(account.token, Buffer.from('{}'), id);
    expect(accepted?.tickets.map(({ destinationId }) => destinationId).toSorted()).toEqual(account.destinationIds);
    const deliveries = await store.storage.reads(EVERYTHING).deliveries.deliveriesOfEvent(id);
    expect(deliveries.map((delivery) => delivery.destination.id).toSorted()).toEqual(account.destinationIds);
    expect(new Set(deliveries.map((delivery) => delivery.id)).size).toBe(3);
  });

  test('an event without destinations is stored all the same', async () => {
    const { token } = await fixture.account(0);
    const id = fixture.newId();
    expect(await accept(token, Buffer.from('{}'), id)).toEqual({ type: null, tickets: [] });
    expect(await reads().event(id)).toBeDefined();
  });

  test('an unknown token stores nothing, and does no harm to the others in the same commit', async () => {
    const { id: accountId, token } = await fixture.account(1);
    const results = await Promise.all([
      accept(token, Buffer.from('{}')),
      accept('nobody', Buffer.from('{}')),
      accept(token, Buffer.from('{}')),
    ]);
    expect(results.map((accepted) => accepted?.tickets.length)).toEqual([1, undefined, 1]);
    expect(await reads().eventCountOf(accountId)).toBe(2);
    expect(await store.storage.events.accountIdOf(token)).toBeDefined();
    expect(await store.storage.events.accountIdOf('nobody')).toBeUndefined();
  });

  test('payloads come back byte for byte, whatever was stored in the same commit', async () => {
    const { token } = await fixture.account(0);
    const payloads = Array.from({ length: 300 }, (_, index) =>
      Buffer.from(`{"${'é'.repeat(index)}\\u0000":${index}.0}`),
    );
    const ids = payloads.map(() => fixture.newId());
    await Promise.all(payloads.map((payload, index) => accept(token, payload, ids[index])));
    await store.reopen();
    const read = reads();
    expect(await Promise.all(ids.map((id) => read.payload(id)))).toEqual(payloads);
  });
});
