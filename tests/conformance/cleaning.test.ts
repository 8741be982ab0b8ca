import { describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { insertBulk } from '../support/bulk.ts';
import { TestCleaner } from '../support/cleaning.ts';
import { DELIVERED, firstClaimed, NOW } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

const TABLES = ['account', 'destination', 'event', 'delivery', 'queue', 'attempt'] as const;
const SUCCEEDED = { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW } as const;
const GRACE_MS = 10_000;

type Counts = Record<(typeof TABLES)[number], number>;

const NOTHING: Counts = { account: 0, destination: 0, event: 0, delivery: 0, queue: 0, attempt: 0 };

describe.each(STORES)('what was deleted, on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  const database = () => store.storage.fork(EVERYTHING).getKysely();

  async function counts(): Promise<Counts> {
    const entries = TABLES.map(async (table): Promise<[string, number]> => {
      const { rows } = await sql<{ n: number | string }>`select count(*) as n from ${sql.table(table)}`.execute(
        database(),
      );
      return [table, Number(rows[0]?.n)];
    });
    return Object.fromEntries(await Promise.all(entries)) as Counts;
  }

  async function deliver(ticket: Ticket): Promise<void> {
    const claimed = await firstClaimed(store.storage.deliveries.claim({ ticket: ticket, leaseMs: 45_000, blame: 1 }));
    await store.storage.deliveries.record({ ...(claimed as ClaimedDelivery), outcome: DELIVERED, state: SUCCEEDED });
  }

  /** An account with two destinations: what the first has got is delivered, what the second has got is pending. */
  async function household(events: number) {
    const account = await fixture.account(2);
    const tickets: Ticket[] = [];
    for (let number = 1; number <= events; number += 1) {
      tickets.push(...(await fixture.event(account.token)));
    }
    const [first, second] = account.destinationIds as [string, string];
    const delivered = tickets.filter(({ destinationId }) => destinationId === first);
    await Promise.all(delivered.map(deliver));
    return { ...account, first, second, delivered };
  }

  test('is removed with everything below, and nothing else is', async () => {
    await household(3);
    const before = await counts();
    const gone = await household(5);
    await fixture.deleteAccount(gone.id);
    const cleaner = new TestCleaner(store.storage);
    await cleaner.finish();
    expect(await counts()).toEqual(before);
    expect(cleaner.removed.toSorted()).toEqual([gone.id, gone.first, gone.second].toSorted());
  });

  test('is removed with its deliveries when it is a destination; the events stay, and what went elsewhere', async () => {
    const { first, second } = await household(3);
    expect(await counts()).toEqual({ account: 1, destination: 2, event: 3, delivery: 6, queue: 3, attempt: 3 });
    await fixture.deleteDestination(second);
    await new TestCleaner(store.storage).finish();
    expect(await counts()).toEqual({ account: 1, destination: 1, event: 3, delivery: 3, queue: 0, attempt: 3 });
    await fixture.deleteDestination(first);
    await new TestCleaner(store.storage).finish();
    expect(await counts()).toEqual({ ...NOTHING, account: 1, event: 3 });
  });

  test('is left alone until no statement is at work that began before', async () => {
    const { id } = await household(1);
    const cleaner = new TestCleaner(store.storage);
    await cleaner.clean();
    await fixture.deleteAccount(id);
    const before = await counts();
    cleaner.pass(GRACE_MS);
    // Seen for the first time: who knows since when it is there.
    expect(await cleaner.clean()).toBe(false);
    cleaner.pass(GRACE_MS - 1);
    expect(await cleaner.clean()).toBe(false);
    expect(await counts()).toEqual(before);
    cleaner.pass(1);
    expect(await cleaner.clean()).toBe(true);
  });

  test('goes in steps of a bounded number of rows, and is taken up again where it was left', async () => {
    const { id, second } = await household(1);
    await insertBulk(store.storage, { accountId: id, destinationId: second, deliveries: 700 });
    await fixture.deleteAccount(id);
    for (let last = await counts(), left = total(last); left > 0; ) {
      // Another process each time: nothing is remembered.
      await store.reopen();
      const cleaner = new TestCleaner(store.storage);
      await cleaner.clean();
      cleaner.pass(GRACE_MS);
      await cleaner.clean();
      const now = await counts();
      for (const table of TABLES) {
        // Two destinations, one step each.
        expect(last[table] - now[table]).toBeLessThanOrEqual(400);
      }
      expect(total(now)).toBeLessThan(left);
      [last, left] = [now, total(now)];
    }
  });

  test('goes by few attempts at a time when a delivery has very many', async () => {
    const { id, delivered } = await household(1);
    await sql`
      insert into attempt (delivery_id, number, started_at, duration_ms)
      with recursive n (i) as (select 2 union all select i + 1 from n where i < 901)
      select d.id, n.i, a.started_at, 1 from delivery d join attempt a on a.delivery_id = d.id cross join n
      where d.id = ${delivered[0]?.deliveryId}`.execute(database());
    await fixture.deleteAccount(id);
    const cleaner = new TestCleaner(store.storage);
    await cleaner.clean();
    cleaner.pass(GRACE_MS);
    await cleaner.clean();
    expect((await counts()).attempt).toBe(701);
    await cleaner.finish();
    expect(await counts()).toEqual(NOTHING);
  });

  test('may be removed by several processes at once', async () => {
    const kept = await household(2);
    const before = await counts();
    const gone = await household(40);
    await fixture.deleteAccount(gone.id);
    const cleaners = [1, 2, 3].map(() => new TestCleaner(store.storage));
    await Promise.all(cleaners.map((cleaner) => cleaner.finish()));
    await new TestCleaner(store.storage).finish();
    expect(await counts()).toEqual(before);
    expect(cleaners.flatMap(({ removed }) => removed).toSorted()).toEqual(
      [gone.id, gone.first, gone.second].toSorted(),
    );
    await fixture.event(kept.token);
  });

  test('keeps no small one waiting that was deleted later', async () => {
    const large = await household(1);
    await insertBulk(store.storage, { accountId: large.id, destinationId: large.second, deliveries: 3_000 });
    const small = await household(1);
    await fixture.deleteAccount(large.id);
    await fixture.deleteAccount(small.id);
    const cleaner = new TestCleaner(store.storage);
    while (!cleaner.removed.includes(small.id)) {
      await cleaner.clean();
      cleaner.pass(GRACE_MS);
    }
    expect((await counts()).delivery).toBeGreaterThan(2_000);
  });

  test('gets no record of a request that was under way, however late it comes', async () => {
    const { token, id } = await fixture.account(1);
    const [ticket] = (await fixture.event(token)) as [Ticket];
    const claimed = (await firstClaimed(
      store.storage.deliveries.claim({ ticket: ticket, leaseMs: 45_000, blame: 1 }),
    )) as ClaimedDelivery;
    await fixture.deleteAccount(id);
    await new TestCleaner(store.storage).finish();
    const { isRecorded } = await store.storage.deliveries.record({ ...claimed, outcome: DELIVERED, state: SUCCEEDED });
    expect(isRecorded).toBe(false);
    expect(await counts()).toEqual(NOTHING);
  });
});

function total(counts: Counts): number {
  return TABLES.reduce((sum, table) => sum + counts[table], 0);
}
