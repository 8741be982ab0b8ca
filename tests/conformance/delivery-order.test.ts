import { describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import { kyselyOf } from '../../src/storage/assemble.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import type { NextDelivery } from '../../src/storage/delivery-order.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { TestCleaner } from '../support/cleaning.ts';
import { DELIVERED, NOW } from '../support/store-fixture.ts';
import { STORES, storeForEachTest } from './backends.ts';
import { deliveryActions, FAILED, OVER, retryIn, SUCCEEDED } from './delivery-actions.ts';

describe.each(STORES)('deliveries with an order on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  const { claim, claimLane, claimLost, lanes } = deliveryActions(store);

  async function ordered(orderBy: string) {
    const { token, destinationIds } = await fixture.account(1);
    const [destinationId] = destinationIds as [string];
    await fixture.updateDestination(destinationId, { policy: { orderBy } });
    return {
      destinationId,
      /** @returns the ticket of its delivery */
      send: async (payload: string): Promise<Ticket> => {
        const [ticket] = await fixture.event(token, NOW, Buffer.from(payload));
        return ticket as Ticket;
      },
    };
  }

  /** @returns what is next in the order now */
  async function record(
    claimed: ClaimedDelivery | undefined,
    { outcome = DELIVERED, state = SUCCEEDED }: Partial<Ending> = {},
  ): Promise<NextDelivery | undefined> {
    if (claimed === undefined) {
      throw new Error('Nothing was claimed.');
    }
    const { isRecorded, next } = await store.storage.deliveries.record({ ...claimed, outcome, state });
    expect(isRecorded).toBe(true);
    return next;
  }

  interface Ending {
    readonly outcome: Parameters<typeof store.storage.deliveries.record>[0]['outcome'];
    readonly state: Parameters<typeof store.storage.deliveries.record>[0]['state'];
  }

  test('with an equal value go one at a time, and others go on meanwhile', async () => {
    const { destinationId, send } = await ordered('customer.id');
    const first = await send('{"customer":{"id":1},"n":1}');
    const second = await send('{"customer":{"id":1},"n":2}');
    const other = await send('{"customer":{"id":2}}');
    const unordered = await send('{"customer":"none"}');
    const third = await send('{"customer":{"id":1},"n":3}');
    expect(await claim(second)).toBeUndefined();
    const due = await claimLane(destinationId);
    expect(due.map(({ deliveryId }) => deliveryId)).toEqual(
      [first, other, unordered].map(({ deliveryId }) => deliveryId),
    );
    const [claimed] = due;
    expect(await claim(third)).toBeUndefined();
    expect(await claim(second)).toBeUndefined();
    expect(await lanes()).toEqual({ [destinationId]: null });

    expect(await record(claimed)).toMatchObject({ deliveryId: second.deliveryId, attempt: 0, destinationId });
    expect(await lanes()).toEqual({ [destinationId]: 'retries' });
    expect(await claim(third)).toBeUndefined();
    expect(await record(await claim(second))).toMatchObject({ deliveryId: third.deliveryId });
    expect(await record(await claim(third))).toBeUndefined();
  });

  test('wait while an earlier one is retried, lost or given back, and go on once it has failed', async () => {
    const { destinationId, send } = await ordered('id');
    const first = await send('{"id":"a"}');
    const second = await send('{"id":"a"}');
    const waits = async () => expect(await claim(second)).toBeUndefined();

    expect(await record(await claim(first), { outcome: FAILED, state: retryIn(0) })).toBeUndefined();
    await waits();
    const [retried] = await claimLane(destinationId);
    expect(retried).toMatchObject({ deliveryId: first.deliveryId, attempt: 2 });
    await store.storage.deliveries.release([retried as ClaimedDelivery]);
    await waits();
    expect(await claim({ ...first, attempt: 1 }, OVER)).toMatchObject({ attempt: 2 });
    await waits();
    const lost = await claimLost(destinationId);
    expect(lost).toMatchObject({ deliveryId: first.deliveryId, attempt: 3 });
    const failed = { outcome: FAILED, state: { ...SUCCEEDED, status: 'FAILED' } } as const;
    expect(await record(lost, failed)).toMatchObject({ deliveryId: second.deliveryId });
    expect(await claimLane(destinationId)).toMatchObject([{ deliveryId: second.deliveryId }]);
  });

  test('are equal as JSON: by value, and not by how it is written', async () => {
    const { send } = await ordered('key');
    const equal = [
      ['1', '1.0', '10e-1'],
      ['{"a":1,"b":[true,{}]}', '{ "b": [true, {}], "a": 1.00 }'],
      ['null', ' null'],
      ['"é"', '"\\u00e9"'],
      ['0', '-0'],
    ];
    for (const texts of equal) {
      const [head, ...followers] = await Promise.all(texts.map((text) => send(`{"key":${text}}`)));
      expect({ texts, head: await claim(head as Ticket) }).toMatchObject({ head: { attempt: 1 } });
      for (const follower of followers) {
        expect({ texts, follower: await claim(follower) }).toEqual({ texts, follower: undefined });
      }
    }
    const different = ['"1"', '[1]', '[1,2]', '[2,1]', '"null"', '{"a":1}', '{"a":{}}', 'true', '""', '[]', '{}'];
    for (const text of different) {
      expect({ text, claimed: await claim(await send(`{"key":${text}}`)) }).toMatchObject({ claimed: { attempt: 1 } });
    }
  });

  test('all go one at a time where the order is by everything', async () => {
    const { send } = await ordered('*');
    const first = await send('{"a":1}');
    const second = await send('{"b":2}');
    expect(await claim(second)).toBeUndefined();
    expect(await record(await claim(first))).toMatchObject({ deliveryId: second.deliveryId });
  });

  test('are in the order of their commits when they are stored together', async () => {
    const { destinationId, send } = await ordered('id');
    const sent = await Promise.all(Array.from({ length: 60 }, (_, number) => send(`{"id":${number % 3}}`)));
    const heads = await claimLane(destinationId);
    expect(heads).toHaveLength(3);
    const done: string[] = [];
    for (let ready = heads; ready.length > 0; ready = await claimLane(destinationId)) {
      for (const delivery of ready) {
        done.push(delivery.deliveryId);
        await record(delivery);
      }
    }
    for (const id of [0, 1, 2]) {
      const own = sent.filter((_, number) => number % 3 === id).map(({ deliveryId }) => deliveryId);
      expect(done.filter((deliveryId) => own.includes(deliveryId))).toEqual(own);
    }
    expect(done).toHaveLength(sent.length);
  });

  test('go on when a disabled destination is enabled, and after a restart', async () => {
    const { destinationId, send } = await ordered('id');
    const sent = [await send('{"id":1}'), await send('{"id":1}'), await send('{"id":1}')] as const;
    const first = await claim(sent[0]);
    await fixture.updateDestination(destinationId, { enabled: false });
    expect(await record(first)).toMatchObject({ deliveryId: sent[1].deliveryId });
    expect(await claim(sent[1])).toBeUndefined();
    await store.reopen();
    await fixture.updateDestination(destinationId, { enabled: true });
    for (const ticket of sent.slice(1)) {
      const [due, ...others] = await claimLane(destinationId);
      expect([due?.deliveryId, others.length]).toEqual([ticket.deliveryId, 0]);
      await record(due);
    }
  });

  test('have a new order when the path changes, and the old one among themselves', async () => {
    const { destinationId, send } = await ordered('a');
    const [first, second] = [await send('{"a":1,"b":1}'), await send('{"a":1,"b":1}')];
    await fixture.updateDestination(destinationId, { policy: { orderBy: 'b' } });
    const [third, fourth] = [await send('{"a":1,"b":1}'), await send('{"a":1,"b":1}')];
    await fixture.updateDestination(destinationId, { policy: { orderBy: null } });
    const fifth = await send('{"a":1,"b":1}');
    const due = await claimLane(destinationId);
    expect(due.map(({ deliveryId }) => deliveryId)).toEqual([first, third, fifth].map(({ deliveryId }) => deliveryId));
    expect(await record(due[0])).toMatchObject({ deliveryId: second.deliveryId });
    expect(await record(due[1])).toMatchObject({ deliveryId: fourth.deliveryId });
    expect(await record(due[2])).toBeUndefined();
  });

  test('a record that comes too late wakes nobody', async () => {
    const { destinationId, send } = await ordered('id');
    const [first, second] = [await send('{"id":1}'), await send('{"id":1}')];
    const early = (await claim(first, OVER)) as ClaimedDelivery;
    await claimLost(destinationId);
    const { isRecorded } = await store.storage.deliveries.record({ ...early, outcome: DELIVERED, state: SUCCEEDED });
    expect(isRecorded).toBe(false);
    expect(await claim(second)).toBeUndefined();
    expect(await claimLane(destinationId)).toEqual([]);
  });

  test('wait at one destination and not at another', async () => {
    const { token, destinationIds } = await fixture.account(2);
    const [one, other] = destinationIds as [string, string];
    await fixture.updateDestination(one, { policy: { orderBy: 'id' } });
    const count = 3;
    for (let number = 0; number < count; number += 1) {
      await fixture.event(token, NOW, Buffer.from('{"id":1}'));
    }
    expect(await claimLane(one)).toHaveLength(1);
    expect(await claimLane(other)).toHaveLength(count);
  });

  test('are removed with their destination, also those that wait', async () => {
    const { destinationId, send } = await ordered('id');
    for (let number = 0; number < 5; number += 1) {
      await send('{"id":1}');
    }
    const [head] = await claimLane(destinationId);
    await fixture.deleteDestination(destinationId);
    expect(await record(head)).toMatchObject({ destinationId });
    await new TestCleaner(store.storage).finish();
    const { rows } = await sql`select 1 from queue`.execute(kyselyOf(store.storage.fork(EVERYTHING)));
    expect(rows).toEqual([]);
  });
});
