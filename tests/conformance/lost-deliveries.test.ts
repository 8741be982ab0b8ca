import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { storeForEachTest, STORES } from './backends.ts';
import { deliveryActions, FAILED, OVER, retryIn, SUCCEEDED } from './delivery-actions.ts';

describe.each(STORES)('lost deliveries on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  const { claim, claimLane, claimLost, record, lanes, lost } = deliveryActions(store);

  test('a leased delivery is nobody else’s until the lease is over, and then it is found as lost', async () => {
    const ticket = await fixture.ticket();
    await claim(ticket);
    expect(await lanes()).toEqual({ [ticket.destinationId]: null });
    expect(await lost()).toEqual({ [ticket.destinationId]: null });
    expect(await claim({ ...ticket, attempt: 1 })).toBeUndefined();
    expect(await claimLane(ticket.destinationId)).toEqual([]);
    expect(await claimLost(ticket.destinationId)).toBeUndefined();

    const other = await fixture.ticket();
    await claim(other, OVER);
    expect(await lost()).toMatchObject({ [other.destinationId]: 0 });
    expect(await claim({ ...other, attempt: 1 })).toBeUndefined();
    expect(await claimLane(other.destinationId)).toEqual([]);
    expect(await claimLost(other.destinationId)).toMatchObject({ attempt: 2, lostCount: 1 });
  });

  test.each([
    ['three times in a row while there is little else under way', 2, 3],
    ['six times in a row among many others', 1, 6],
  ] as const)('a delivery whose worker dies %s is given up', async (_when, blame, times) => {
    const ticket = await fixture.ticket();
    const { destinationId } = ticket;
    await claim(ticket, OVER, blame);
    for (let attempt = 2; attempt <= times; attempt += 1) {
      const lostCount = (attempt - 1) * blame;
      expect(await claimLost(destinationId, 100, OVER, blame)).toMatchObject({ attempt, lostCount, problem: null });
    }
    const given = (await claimLost(destinationId, 100, OVER)) as ClaimedDelivery;
    expect(given).toMatchObject({ attempt: times, problem: 'WORKER_DIED' });
    expect(await claimLost(destinationId)).toMatchObject({ attempt: times, problem: 'WORKER_DIED' });
    expect(await record(given, { ...FAILED, error: 'WORKER_DIED' }, { ...SUCCEEDED, status: 'FAILED' })).toBe(true);
  });

  test('of the lost deliveries the one comes first that was lost least often, and others can be left alone', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [destinationId] = destinationIds as [string];
    const [again] = await fixture.event(token);
    await claim(again as Ticket, OVER);
    await claimLost(destinationId, 0, OVER);
    const [once] = await fixture.event(token);
    await claim(once as Ticket, OVER);
    expect(await lost()).toEqual({ [destinationId]: 0 });
    expect(await claimLost(destinationId, 0)).toMatchObject({ deliveryId: once?.deliveryId });
    expect(await claimLost(destinationId, 0)).toBeUndefined();
    expect(await lost()).toEqual({ [destinationId]: 1 });
    expect(await claimLost(destinationId)).toMatchObject({ deliveryId: again?.deliveryId, lostCount: 2 });
  });

  test('of the lost deliveries each of several that ask gets another', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [destinationId] = destinationIds as [string];
    const tickets = (await Promise.all(Array.from({ length: 5 }, () => fixture.event(token)))).flat();
    await Promise.all(tickets.map((ticket) => claim(ticket, OVER)));
    const taken: string[] = [];
    // Two that ask at the same moment may look at the same one.
    for (let attempt = 0; taken.length < 5 && attempt < 5; attempt += 1) {
      const found = await Promise.all(Array.from({ length: 8 }, () => claimLost(destinationId, 0)));
      taken.push(...found.flatMap((one) => one?.deliveryId ?? []));
    }
    expect(taken).toHaveLength(5);
    expect(new Set(taken).size).toBe(5);
  });

  test('lost attempts that were followed by a record are forgiven', async () => {
    const ticket = await fixture.ticket();
    await claim(ticket, OVER);
    await record((await claimLost(ticket.destinationId)) as ClaimedDelivery, FAILED, retryIn(0));
    expect(await claim({ ...ticket, attempt: 2 })).toMatchObject({ attempt: 3, lostCount: 0 });
  });

  test('a new sole owner finds abandoned leases due at once, and leaves planned retries alone', async () => {
    const abandoned = await fixture.ticket();
    await claim(abandoned);
    const planned = await fixture.ticket();
    await record((await claim(planned)) as ClaimedDelivery, FAILED, retryIn(60_000));
    await store.reopen();
    await store.storage.deliveries.recoverLeases();
    const abandonedLost = store.storage.isSoleOwner ? 0 : null;
    expect(await lost()).toEqual({ [abandoned.destinationId]: abandonedLost, [planned.destinationId]: null });
  });
});
