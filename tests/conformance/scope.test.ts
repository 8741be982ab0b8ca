import { beforeEach, describe, expect, test } from '@jest/globals';
import { EVERYTHING, type Scope } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import { Account, Attempt, Delivery, Destination, Event } from '../../src/storage/entities.ts';
import { DELIVERED, NOW } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

const PAGE = { first: 10, after: undefined };
/** Children first; one type for all, because a list of several is none that the mapper takes. */
const ENTITIES = [Attempt, Delivery, Event, Destination, Account] as unknown as readonly (typeof Account)[];

/** A reader that forgets to ask whose something is gets nothing all the same. */
describe.each(STORES)('a scope on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  let mine: string;
  let theirs: string;
  let eventId: string;
  let ticket: Ticket;

  beforeEach(async () => {
    ({ id: mine } = await fixture.account(1));
    const other = await fixture.account(1);
    theirs = other.id;
    [ticket] = (await fixture.event(other.token)) as [Ticket];
    await store.storage.deliveries.claim({ ticket, leaseMs: 60_000, blame: 1 });
    await store.storage.deliveries.record({
      deliveryId: ticket.deliveryId,
      attempt: 1,
      destinationVersion: 1,
      place: null,
      outcome: DELIVERED,
      state: { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW },
    });
    eventId = (await store.storage.reads(EVERYTHING).deliveries.delivery(ticket.deliveryId))?.event.id ?? '';
  });

  /** What each read tells of the other account: how many of it. */
  async function seenBy(scope: Scope): Promise<Record<string, number | null>> {
    const { accounts, events, deliveries, routes } = store.storage.reads(scope);
    const { deliveryId, destinationId } = ticket;
    return {
      account: count(await accounts.account(theirs)),
      destination: count(await accounts.destination(destinationId)),
      destinationsOf: (await accounts.destinationsOf(theirs)).length,
      event: count(await events.event(eventId)),
      payload: count(await events.payload(eventId)),
      deliveriesOfEvent: (await deliveries.deliveriesOfEvent(eventId)).length,
      routesOf: (await routes.routesOf(eventId)).length,
      eventsOf: (await events.eventsOf(theirs, PAGE)).rows.length,
      moreEvents: Number((await events.eventsOf(theirs, { ...PAGE, first: 0 })).hasNextPage),
      eventCountOf: await events.eventCountOf(theirs),
      delivery: count(await deliveries.delivery(deliveryId)),
      attemptsOf: (await deliveries.attemptsOf(deliveryId)).length,
      deliveriesOf: (await deliveries.deliveriesOf(destinationId, PAGE, undefined)).rows.length,
      succeededOf: (await deliveries.deliveriesOf(destinationId, PAGE, 'SUCCEEDED')).rows.length,
      moreDeliveries: Number(
        (await deliveries.deliveriesOf(destinationId, { ...PAGE, first: 0 }, undefined)).hasNextPage,
      ),
      deliveryCountOf: await deliveries.deliveryCountOf(destinationId, undefined),
      succeededCountOf: await deliveries.deliveryCountOf(destinationId, 'SUCCEEDED'),
    };
  }

  test('that is everything, or the account itself, holds all of the account', async () => {
    const everything = await seenBy(EVERYTHING);
    expect(new Set(Object.values(everything))).toEqual(new Set([1]));
    expect(await seenBy({ accountId: theirs })).toEqual(everything);
  });

  test('that is another account holds nothing of it, whatever is read', async () => {
    expect(new Set(Object.values(await seenBy({ accountId: mine })))).toEqual(new Set([0]));
  });

  test.each(['everything', 'the account itself'])('that is %s holds nothing of what was deleted', async (whose) => {
    const scope = whose === 'everything' ? EVERYTHING : { accountId: theirs };
    await fixture.deleteDestination(ticket.destinationId);
    expect(namesOf(await seenBy(scope), 1)).toEqual([
      'account',
      'event',
      'eventCountOf',
      'eventsOf',
      'moreEvents',
      'payload',
      'routesOf',
    ]);
    await fixture.deleteAccount(theirs);
    expect(namesOf(await seenBy(scope), 0)).toEqual(Object.keys(await seenBy(scope)).toSorted());
    expect(await store.storage.reads(EVERYTHING).accounts.accountCount()).toBe(1);
    const { rows } = await store.storage.reads(EVERYTHING).accounts.accounts(PAGE);
    expect(rows.map(({ id }) => id)).toEqual([mine]);
  });

  test('keeps writes away from what was deleted', async () => {
    await fixture.deleteAccount(theirs);
    const em = store.storage.fork(EVERYTHING);
    expect(await em.nativeUpdate(Account, { id: theirs }, { name: 'X' })).toBe(0);
    expect(await em.nativeUpdate(Destination, { id: ticket.destinationId }, { disabledAt: null })).toBe(0);
    expect(await em.nativeUpdate(Delivery, { id: ticket.deliveryId }, { status: 'PENDING' })).toBe(0);
  });

  test('that is another account keeps writes away from it', async () => {
    const em = store.storage.fork({ accountId: mine });
    expect(await em.nativeUpdate(Account, { id: theirs }, { name: 'X' })).toBe(0);
    expect(await em.nativeUpdate(Delivery, { id: ticket.deliveryId }, { status: 'PENDING' })).toBe(0);
    for (const [place, entity] of ENTITIES.entries()) {
      expect([place, await em.nativeDelete(entity, {})]).toEqual([place, [0, 0, 0, 1, 1][place]]);
    }
    expect(new Set(Object.values(await seenBy(EVERYTHING)))).toEqual(new Set([1]));
  });

  test.each(ENTITIES.map((entity) => [entity.meta.className, entity] as const))(
    'has to be named before %s is read',
    async (_name, entity) => {
      const em = store.storage.fork(EVERYTHING);
      em.setFilterParams('scope', undefined as never);
      await expect(em.find(entity, {})).rejects.toThrow(/No arguments provided for filter/);
    },
  );

  test('that is one account may not list all', async () => {
    const { accounts } = store.storage.reads({ accountId: mine });
    await expect(accounts.accounts(PAGE)).rejects.toThrow(/administrator/);
    await expect(accounts.accountCount()).rejects.toThrow(/administrator/);
  });
});

function namesOf(seen: Record<string, number | null>, wanted: number): string[] {
  return Object.keys(seen)
    .filter((name) => seen[name] === wanted)
    .toSorted();
}

function count(found: unknown): number {
  return found === undefined ? 0 : 1;
}
