import { describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { DELIVERED, firstClaimed, NOW } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

const GONE = { ...DELIVERED, statusCode: 410, error: 'HTTP_STATUS' } as const;
const FAILED = { status: 'FAILED', retryInMs: null, completedAt: NOW + 12 } as const;
const LEASE_MS = 45_000;
/** A lease that has run out when it begins. */
const OVER = -1;

function ticketFor(id: string, tickets: readonly Ticket[]): Ticket {
  return tickets.find(({ destinationId }) => destinationId === id) as Ticket;
}

describe.each(STORES)('a destination that is gone, on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  const claim = (ticket: Ticket, leaseMs = LEASE_MS) =>
    firstClaimed(store.storage.deliveries.claim({ ticket, leaseMs, blame: 1 }));
  const recordGone = (claimed: ClaimedDelivery, completedAt = FAILED.completedAt) =>
    store.storage.deliveries
      .record({ ...claimed, outcome: GONE, state: { ...FAILED, completedAt } })
      .then(({ isRecorded }) => isRecorded);
  const dueOf = async (id: string) =>
    (await store.storage.deliveries.findLanes({ after: '', limit: 100, graceMs: 0 })).find(
      ({ destinationId }) => destinationId === id,
    )?.due;
  const claimLane = (destinationId: string) =>
    store.storage.deliveries
      .claimLane({ destinationId, limit: 10, from: 0, leaseMs: LEASE_MS, blame: 1 })
      .then(({ claimed }) => claimed);
  const disabledAt = async (id: string) =>
    (await store.storage.reads(EVERYTHING).accounts.destination(id))?.disabledAt?.getTime() ?? null;

  /** An account whose second destination is gone, and a ticket for each that was written before. */
  async function oneGone() {
    const { token, destinationIds } = await fixture.account(2);
    const [stayId, goneId] = destinationIds as [string, string];
    const first = await fixture.event(token);
    const waiting = await fixture.event(token);
    const claimed = (await claim(ticketFor(goneId, first))) as ClaimedDelivery;
    expect(await recordGone(claimed)).toBe(true);
    return {
      token,
      stayId,
      goneId,
      goneWaiting: ticketFor(goneId, waiting),
      stayTickets: [first, waiting].map((tickets) => ticketFor(stayId, tickets)),
    };
  }

  test('is disabled by the record of its answer, and no other destination is', async () => {
    const { stayId, goneId } = await oneGone();
    expect([await disabledAt(stayId), await disabledAt(goneId)]).toEqual([null, FAILED.completedAt]);
  });

  test('gets no deliveries of new events', async () => {
    const { token, stayId } = await oneGone();
    expect((await fixture.event(token)).map(({ destinationId }) => destinationId)).toEqual([stayId]);
  });

  test('has nothing due and nothing to claim, and what is pending stays for when it is enabled again', async () => {
    const { goneId, stayId, goneWaiting, stayTickets } = await oneGone();
    expect(await claim(goneWaiting)).toBeUndefined();
    expect(await claimLane(goneId)).toEqual([]);
    expect([await dueOf(goneId), await dueOf(stayId)]).toEqual([null, 'fresh']);
    expect((await claimLane(stayId)).map(({ deliveryId }) => deliveryId)).toEqual(
      stayTickets.map(({ deliveryId }) => deliveryId),
    );
    await fixture.updateDestination(goneId, { enabled: true });
    expect(await dueOf(goneId)).toBe('fresh');
    expect(await claim(goneWaiting)).toMatchObject({ attempt: 1 });
  });

  test('keeps the time of the answer that disabled it', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [id] = destinationIds as [string];
    const claims = (await Promise.all([fixture.event(token), fixture.event(token)])).map(([ticket]) =>
      claim(ticket as Ticket),
    );
    const [first, second] = (await Promise.all(claims)) as [ClaimedDelivery, ClaimedDelivery];
    await recordGone(first, NOW + 20);
    await recordGone(second, NOW + 30);
    expect(await disabledAt(id)).toBe(NOW + 20);
  });

  test('is not disabled by a worker that comes late', async () => {
    const ticket = await fixture.ticket();
    const late = (await claim(ticket, OVER)) as ClaimedDelivery;
    const { destinationId } = ticket;
    await store.storage.deliveries.claimLost({ destinationId, lostMost: 0, leaseMs: LEASE_MS, blame: 1 });
    expect(await recordGone(late)).toBe(false);
    expect(await disabledAt(ticket.destinationId)).toBeNull();
  });

  test('is not disabled by an answer to what it was asked with before it was changed', async () => {
    const ticket = await fixture.ticket();
    const asked = (await claim(ticket)) as ClaimedDelivery;
    await fixture.updateDestination(ticket.destinationId, { url: 'http://127.0.0.1/moved' });
    expect(await recordGone(asked)).toBe(true);
    expect(await disabledAt(ticket.destinationId)).toBeNull();
  });

  test('may be deleted, changed and sent to while many of its answers are recorded', async () => {
    const accounts = await Promise.all(Array.from({ length: 10 }, () => fixture.account(3)));
    const tickets = (await Promise.all(accounts.map(({ token }) => fixture.event(token)))).flat();
    const claims = (await Promise.all(tickets.map((ticket) => claim(ticket)))) as ClaimedDelivery[];
    const ids = accounts.flatMap(({ destinationIds }) => destinationIds);
    const settled = await Promise.allSettled([
      ...claims.map((claimed) => recordGone(claimed)),
      ...accounts.map(({ token }) => fixture.event(token)),
      ...ids.map((id, index) =>
        index % 3 === 0
          ? fixture.deleteDestination(id)
          : fixture.updateDestination(id, { url: 'http://127.0.0.1/changed' }),
      ),
    ]);
    expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
    const disabled = await Promise.all(ids.map(disabledAt));
    // One that was changed first is not disabled by what its old URL has answered.
    expect(disabled.every((at) => at === null || at === FAILED.completedAt)).toBe(true);
  });
});

describe.each(STORES)('signing secrets on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  const secretsOf = async (ticket: Ticket) =>
    (await firstClaimed(store.storage.deliveries.claim({ ticket, leaseMs: LEASE_MS, blame: 1 })))?.signingSecrets.map(
      ({ signsUntil }) => signsUntil,
    );

  test('come with a claim: one, and after a rotation the newest two with when the older one ends', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [id] = destinationIds as [string];
    const next = async () => (await fixture.event(token))[0] as Ticket;
    expect(await secretsOf(await next())).toEqual([null]);
    await fixture.rotateSigningSecret(id, 3_600_000);
    await fixture.rotateSigningSecret(id, 1);
    expect(await secretsOf(await next())).toEqual([null, NOW + 1]);
    await fixture.rotateSigningSecret(id, 0);
    expect(await secretsOf(await next())).toEqual([null]);
  });
});
