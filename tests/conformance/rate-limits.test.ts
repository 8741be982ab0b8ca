import { describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Rate } from '../../src/core/token-bucket.ts';
import { EVERYTHING } from '../../src/core/scope.ts';
import { kyselyOf } from '../../src/storage/assemble.ts';
import type { RatedClaimRequest } from '../../src/storage/statements.ts';
import { TestCleaner } from '../support/cleaning.ts';
import { storeForEachTest, STORES } from './backends.ts';
import { deliveryActions, OVER } from './delivery-actions.ts';

/** So slow that nothing is allowed again during a test. */
const PER_DAY = 86_400_000;

describe.each(STORES)('rate limits on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  const { claim, claimLane, record } = deliveryActions(store);

  async function limited(rateLimit: Rate, events: number) {
    const { token, destinationIds } = await fixture.account(1);
    const destinationId = destinationIds[0] as string;
    await fixture.updateDestination(destinationId, { policy: { rateLimit } });
    const tickets = [];
    for (let number = 0; number < events; number += 1) {
      tickets.push(...(await fixture.event(token)));
    }
    return { destinationId, tickets };
  }

  async function claimRated(destinationId: string, fields: Partial<RatedClaimRequest> = {}) {
    const request = {
      destinationId,
      limit: 100,
      from: 0,
      lostMost: null,
      leaseMs: 45_000,
      blame: 1,
      ...fields,
    } as const;
    const { claimed, limited: notice } = await store.storage.deliveries.claimRated(request);
    return { claimed, count: claimed.length, limitedForMs: notice?.limitedForMs, rate: notice?.policy.rateLimit };
  }

  test('let other claims take nothing, and tell them of the limit', async () => {
    const rate = { count: 20, perMs: 1_000 };
    const { destinationId, tickets } = await limited(rate, 3);
    const { deliveries } = store.storage;
    const lease = { leaseMs: 45_000, blame: 1 } as const;
    const [ticket] = tickets;
    for (const answer of [
      await deliveries.claim({ ticket: ticket as (typeof tickets)[number], ...lease }),
      await deliveries.claimLane({ destinationId, limit: 9, from: 0, ...lease }),
      await deliveries.claimLost({ destinationId, lostMost: 9, ...lease }),
    ]) {
      expect(answer).toMatchObject({ claimed: [], limited: { limitedForMs: 0, policy: { rateLimit: rate } } });
    }
    expect((await claimRated(destinationId)).claimed.map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test('say nothing of destinations without one, also among others', async () => {
    const { tickets } = await limited({ count: 1, perMs: 1_000 }, 1);
    const plain = await fixture.account(1);
    const [ticket] = await fixture.event(plain.token);
    const all = [...tickets, ...(ticket === undefined ? [] : [ticket])];
    const answers = await Promise.all(
      all.map((one) => store.storage.deliveries.claim({ ticket: one, leaseMs: 45_000, blame: 1 })),
    );
    expect(answers.map(({ claimed: [found] }) => found?.destinationId)).toEqual([undefined, plain.destinationIds[0]]);
    const told = all.filter((_, index) => answers[index]?.limited !== undefined);
    expect(told.map(({ destinationId }) => destinationId)).toEqual([tickets[0]?.destinationId]);
  });

  test.each<[count: number, burst: number]>([
    [1, 1],
    [5, 1],
    [19, 1],
    [20, 2],
    [57, 5],
    [100, 10],
  ])('of %d allow %d at once, and say when the next is allowed', async (count, burst) => {
    const { destinationId } = await limited({ count, perMs: PER_DAY }, burst + 2);
    const first = await claimRated(destinationId);
    expect(first).toMatchObject({ count: burst, rate: { count, perMs: PER_DAY } });
    const every = PER_DAY / count;
    expect(first.limitedForMs).toBeGreaterThan(every * 0.89);
    expect(first.limitedForMs).toBeLessThanOrEqual(every);
    const second = await claimRated(destinationId);
    expect(second.count).toBe(0);
    expect(second.limitedForMs).toBeLessThanOrEqual(first.limitedForMs as number);
  });

  test('count what was claimed, and not what was asked for', async () => {
    const { destinationId } = await limited({ count: 100, perMs: PER_DAY }, 12);
    expect(await claimRated(destinationId, { limit: 3 })).toMatchObject({ count: 3, limitedForMs: 0 });
    expect(await claimRated(destinationId, { limit: 4 })).toMatchObject({ count: 4, limitedForMs: 0 });
    expect(await claimRated(destinationId)).toMatchObject({ count: 3 });
    expect(await claimRated(destinationId)).toMatchObject({ count: 0 });
  });

  test('leave everything to those who come later where nothing is due', async () => {
    const { destinationId } = await limited({ count: 30, perMs: PER_DAY }, 0);
    expect(await claimRated(destinationId)).toMatchObject({ count: 0, limitedForMs: 0 });
    expect(await claimRated(destinationId)).toMatchObject({ count: 0, limitedForMs: 0 });
  });

  test('are never exceeded by claims at the same time', async () => {
    const { destinationId } = await limited({ count: 50, perMs: PER_DAY }, 12);
    const counts = await Promise.all(
      Array.from({ length: 8 }, async (_, number) => {
        // One after the other in the event loop, so that they come with different commits.
        for (let turn = 0; turn < number; turn += 1) {
          await new Promise(setImmediate);
        }
        return (await claimRated(destinationId)).count;
      }),
    );
    expect(counts.reduce((sum, count) => sum + count)).toBe(5);
  });

  test('count retries, and deliveries whose worker died', async () => {
    const { destinationId } = await limited({ count: 30, perMs: PER_DAY }, 2);
    const { claimed } = await claimRated(destinationId, { limit: 1 });
    const [first] = claimed;
    expect(first && (await record(first, { ...FAILURE }, { status: 'PENDING', retryInMs: 0, completedAt: null }))).toBe(
      true,
    );
    expect(await claimRated(destinationId, { limit: 1, leaseMs: OVER })).toMatchObject({ count: 1, limitedForMs: 0 });
    expect(await claimRated(destinationId, { lostMost: 9 })).toMatchObject({ count: 1, claimed: [{ lostCount: 1 }] });
    expect(await claimRated(destinationId)).toMatchObject({ count: 0 });
    expect(await claimRated(destinationId, { lostMost: 9 })).toMatchObject({ count: 0 });
  });

  test('that are changed or removed hold at once as they are now', async () => {
    const { destinationId } = await limited({ count: 1, perMs: PER_DAY }, 8);
    expect(await claimRated(destinationId)).toMatchObject({ count: 1 });
    await fixture.updateDestination(destinationId, { policy: { rateLimit: { count: 10_000, perMs: 1_000 } } });
    const faster = await claimRated(destinationId, { limit: 1 });
    expect(faster.limitedForMs).toBeLessThan(1_000);
    await fixture.updateDestination(destinationId, { policy: { rateLimit: null } });
    expect(await claimRated(destinationId, { limit: 2 })).toMatchObject({ count: 2, limitedForMs: undefined });
    expect(await claimLane(destinationId, 2)).toHaveLength(2);
  });

  test('let nothing go to a disabled destination', async () => {
    const { destinationId, tickets } = await limited({ count: 100, perMs: PER_DAY }, 1);
    await fixture.updateDestination(destinationId, { enabled: false });
    expect(await claimRated(destinationId)).toMatchObject({ count: 0, limitedForMs: undefined });
    expect(await claim(tickets[0] as (typeof tickets)[number])).toBeUndefined();
  });

  test('of different destinations do not touch each other, in one batch too', async () => {
    const slow = await limited({ count: 1, perMs: PER_DAY }, 3);
    const fast = await limited({ count: 100, perMs: PER_DAY }, 3);
    const [first, second] = await Promise.all([claimRated(slow.destinationId), claimRated(fast.destinationId)]);
    expect([first?.count, second?.count]).toEqual([1, 3]);
  });

  test('leave nothing behind when the destination is removed', async () => {
    const { destinationId } = await limited({ count: 1, perMs: PER_DAY }, 1);
    await claimRated(destinationId);
    const rows = async () =>
      (await sql`select 1 from destination_rate`.execute(kyselyOf(store.storage.fork(EVERYTHING)))).rows.length;
    expect(await rows()).toBe(1);
    await fixture.deleteDestination(destinationId);
    await new TestCleaner(store.storage).finish();
    expect(await rows()).toBe(0);
  });
});

const FAILURE = {
  startedAt: 0,
  durationMs: 1,
  statusCode: 500,
  error: 'HTTP_STATUS',
  responseBody: null,
  message: null,
} as const;
