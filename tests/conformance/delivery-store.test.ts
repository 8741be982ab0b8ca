import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/ticket.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { DELIVERED, NOW, StoreFixture } from '../support/store-fixture.ts';
import { STORES, type StoreUnderTest } from './backends.ts';

const LEASED_UNTIL = NOW + 45_000;

function due(now: number, limitPerDestination: number) {
  return { now, limitPerDestination, visibilityMs: 0, except: [] };
}

const SUCCEEDED = { status: 'SUCCEEDED', dueAt: null, completedAt: NOW + 12 } as const;
const RETRY_LATER = { status: 'PENDING', dueAt: NOW + 5_000, completedAt: null } as const;
const FAILED = { ...DELIVERED, statusCode: 500, error: 'HTTP_STATUS' } as const;

describe.each(STORES)('deliveries on $name', ({ create }) => {
  let store: StoreUnderTest;
  let fixture: StoreFixture;

  beforeEach(async () => {
    store = await create();
    fixture = new StoreFixture(() => store.storage);
  });
  afterEach(() => store.dispose());

  const claim = (ticket: Ticket) => store.storage.deliveries.claim(ticket, LEASED_UNTIL);
  const dueIds = async (now: number, limit = 100) =>
    (await store.storage.deliveries.takeDue(due(now, limit))).map(({ deliveryId }) => deliveryId);
  const record = (
    { deliveryId, attempt }: ClaimedDelivery,
    outcome = DELIVERED,
    state: Parameters<typeof store.storage.deliveries.record>[0]['state'] = SUCCEEDED,
  ) => store.storage.deliveries.record({ deliveryId, attempt, outcome, state });

  test('a claim answers everything that the request is made of', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [ticket] = await fixture.event(token, NOW, Buffer.from('{"é":1.0}'));
    expect(await claim(ticket as Ticket)).toEqual({
      deliveryId: ticket?.deliveryId,
      eventId: expect.any(String),
      destinationId: destinationIds[0],
      attempt: 1,
      attemptInRound: 1,
      leasedUntil: LEASED_UNTIL,
      url: 'http://127.0.0.1/1',
      httpMethod: 'POST',
      headers: [
        ['X-Number', '1'],
        ['x-many', ['1', '2']],
      ],
      signingSecrets: [{ secret: expect.stringMatching(/^whsec_/u), signsUntil: null }],
      payload: Buffer.from('{"é":1.0}'),
    });
  });

  test('of many claims with the same ticket exactly one wins', async () => {
    const ticket = await fixture.ticket();
    const claims = await Promise.all(Array.from({ length: 50 }, () => claim(ticket)));
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1);
  });

  test('a leased delivery is not due until the lease is over, and then for the next attempt', async () => {
    const ticket = await fixture.ticket();
    await claim(ticket);
    expect(await dueIds(LEASED_UNTIL - 1)).toEqual([]);
    const [next] = await store.storage.deliveries.takeDue(due(LEASED_UNTIL, 10));
    expect(next).toEqual({ ...ticket, attempt: 1 });
    expect(await claim(ticket)).toBeUndefined();
    expect(await claim(next as Ticket)).toMatchObject({ attempt: 2 });
  });

  test('a recorded success finishes the delivery for good', async () => {
    const ticket = await fixture.ticket();
    const claimed = (await claim(ticket)) as ClaimedDelivery;
    expect(await record(claimed)).toBe(true);
    expect(await dueIds(NOW + 1_000_000)).toEqual([]);
    expect(await claim({ ...ticket, attempt: 1 })).toBeUndefined();
  });

  test('a recorded failure is due again when the policy says', async () => {
    const ticket = await fixture.ticket();
    await record((await claim(ticket)) as ClaimedDelivery, FAILED, RETRY_LATER);
    expect(await dueIds(RETRY_LATER.dueAt - 1)).toEqual([]);
    expect(await dueIds(RETRY_LATER.dueAt)).toEqual([ticket.deliveryId]);
  });

  test('a worker that comes late cannot overwrite a newer attempt', async () => {
    const ticket = await fixture.ticket();
    const late = (await claim(ticket)) as ClaimedDelivery;
    const newer = (await claim({ ...ticket, attempt: 1 })) as ClaimedDelivery;
    expect(await record(late, FAILED, RETRY_LATER)).toBe(false);
    expect(await dueIds(RETRY_LATER.dueAt)).toEqual([]);
    expect(await record(newer)).toBe(true);
  });

  test('nothing is recorded of a delivery that was deleted meanwhile', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [ticket] = await fixture.event(token);
    const claimed = (await claim(ticket as Ticket)) as ClaimedDelivery;
    await fixture.deleteDestination(destinationIds[0] as string);
    expect(await record(claimed)).toBe(false);
  });

  test('a claim that was given back is due at once, and did not count', async () => {
    const ticket = await fixture.ticket();
    const claimed = (await claim(ticket)) as ClaimedDelivery;
    await store.storage.deliveries.release([claimed], NOW);
    expect(await store.storage.deliveries.takeDue(due(NOW, 10))).toEqual([ticket]);
  });

  test('a new sole owner finds abandoned leases due at once, and leaves planned retries alone', async () => {
    const abandoned = await fixture.ticket();
    await claim(abandoned);
    const planned = await fixture.ticket();
    await record((await claim(planned)) as ClaimedDelivery, FAILED, RETRY_LATER);
    await store.reopen();
    await store.storage.deliveries.recoverLeases(NOW);
    expect(await dueIds(NOW)).toEqual([abandoned.deliveryId]);
    expect((await dueIds(RETRY_LATER.dueAt)).toSorted()).toEqual([abandoned.deliveryId, planned.deliveryId].toSorted());
  });

  test('the oldest due deliveries come first, and no destination hides another', async () => {
    const busy = await fixture.account(1);
    for (let second = 9; second >= 0; second -= 1) {
      await fixture.event(busy.token, NOW + second * 1_000);
    }
    const quiet = await fixture.ticket(NOW + 60_000);
    const all = await store.storage.deliveries.takeDue(due(NOW + 60_000, 3));
    expect(all.filter(({ destinationId }) => destinationId === busy.destinationIds[0])).toHaveLength(3);
    expect(all.map(({ deliveryId }) => deliveryId)).toContain(quiet.deliveryId);
    const ofBusy = await store.storage.deliveries.takeDueOf(busy.destinationIds[0] as string, due(NOW + 2_000, 10));
    expect(ofBusy).toHaveLength(3);
  });

  test('destinations that are passed over keep their due deliveries', async () => {
    const [full, other] = [await fixture.ticket(), await fixture.ticket()];
    const request = { ...due(NOW, 10), except: [full.destinationId] };
    expect(await store.storage.deliveries.takeDue(request)).toEqual([other]);
    expect(await store.storage.deliveries.takeDueOf(full.destinationId, due(NOW, 10))).toEqual([full]);
  });

  test('what two take at the same time they share', async () => {
    const { token } = await fixture.account(1);
    await Promise.all(Array.from({ length: 40 }, () => fixture.event(token)));
    const request = { ...due(NOW, 10), visibilityMs: 30_000 };
    const taken = (await Promise.all([1, 2, 3].map(() => store.storage.deliveries.takeDue(request)))).flat();
    const ids = new Set(taken.map(({ deliveryId }) => deliveryId));
    expect(store.storage.isSoleOwner || ids.size === taken.length).toBe(true);
    expect(ids.size).toBeGreaterThan(0);
  });

  test('returned tickets are due at once, and one that was used meanwhile is not', async () => {
    const [unused, used] = [await fixture.ticket(), await fixture.ticket()];
    await claim(used);
    await store.storage.deliveries.returnTickets([unused, used], NOW);
    expect(await dueIds(NOW)).toEqual([unused.deliveryId]);
  });

  test('batches larger than one statement takes are claimed and recorded whole', async () => {
    const { token } = await fixture.account(1);
    const tickets = (await Promise.all(Array.from({ length: 1_300 }, () => fixture.event(token)))).flat();
    const claims = await Promise.all(tickets.map((ticket) => claim(ticket)));
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1_300);
    const recorded = await Promise.all(claims.map((claimed) => record(claimed as ClaimedDelivery)));
    expect(recorded.every(Boolean)).toBe(true);
    expect(await dueIds(NOW + 1_000_000)).toEqual([]);
  });
});
