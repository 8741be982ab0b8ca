import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import { kyselyOf } from '../../src/storage/assemble.ts';
import type { NextDelivery } from '../../src/storage/delivery-order.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { DELIVERED, firstClaimed, NOW, StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';
import { SUCCEEDED } from './delivery-actions.ts';

const LEASE = { leaseMs: 60_000, blame: 1 } as const;

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('a delivery on PostgreSQL that is due although it is not next', () => {
  let temporary: TemporaryDatabase;
  let storage: Storage;
  let database: Kysely<unknown>;
  let fixture: StoreFixture;
  let token: string;
  let destinationId: string;

  beforeEach(async () => {
    temporary = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    storage = await openStorage({ type: 'postgresql', url: temporary.url }, TEST_VAULT);
    database = kyselyOf(storage.fork(EVERYTHING));
    fixture = new StoreFixture(() => storage);
    const account = await fixture.account(1);
    token = account.token;
    destinationId = account.destinationIds[0] as string;
    await fixture.updateDestination(destinationId, { policy: { orderBy: 'id' } });
  });
  afterEach(async () => {
    await storage.close();
    await temporary.drop();
  });

  async function send(id: number): Promise<Ticket> {
    const [ticket] = await fixture.event(token, NOW, Buffer.from(`{"id":${id}}`));
    return ticket as Ticket;
  }

  /** As if the statements that stored them had not seen what came before. */
  async function makeAllDue(): Promise<void> {
    await sql`update queue set due_at = now()`.execute(database);
  }

  async function parkedCount(): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from queue where due_at > now() + interval '1 year'`.execute(database);
    return rows[0]?.count ?? 0;
  }

  function claim(ticket: Ticket): Promise<ClaimedDelivery | undefined> {
    return firstClaimed(storage.deliveries.claim({ ticket, ...LEASE }));
  }

  async function claimLane(limit: number) {
    const request = { destinationId, limit, from: 0, ...LEASE };
    const { claimed, passedOver } = await storage.deliveries.claimLane(request);
    return { ids: claimed.map(({ deliveryId }) => deliveryId), claimed, passedOver };
  }

  async function record(claimed: ClaimedDelivery | undefined): Promise<NextDelivery | undefined> {
    const attempt = { ...(claimed as ClaimedDelivery), outcome: DELIVERED, state: SUCCEEDED };
    return (await storage.deliveries.record(attempt)).next;
  }

  test('is parked by the claim that finds it, as many as the claim asks for and each once', async () => {
    const sent = [await send(1), await send(1), await send(1), await send(1), await send(2)] as const;
    await makeAllDue();
    const [head, , , , other] = sent;
    expect(await claimLane(3)).toMatchObject({ ids: [head.deliveryId], passedOver: { parked: 2, undecided: 0 } });
    expect(await claimLane(3)).toMatchObject({ ids: [other.deliveryId], passedOver: { parked: 1, undecided: 0 } });
    expect(await claimLane(3)).toMatchObject({ ids: [], passedOver: undefined });
    expect(await parkedCount()).toBe(3);
  });

  test('is parked by a claim of its ticket, and woken in its turn', async () => {
    const [first, second] = [await send(1), await send(1)];
    await makeAllDue();
    expect(await claim(second)).toBeUndefined();
    expect(await parkedCount()).toBe(1);
    const head = await claim(first);
    expect(await record(head)).toMatchObject({ deliveryId: second.deliveryId });
    expect(await parkedCount()).toBe(0);
  });

  test('is left as it is while its predecessor is recorded, and nobody waits', async () => {
    const [first, second] = [await send(1), await send(1)];
    await claim(first);
    await makeAllDue();
    await database.transaction().execute(async (transaction) => {
      await sql`select from queue where delivery_id = ${first.deliveryId} for update`.execute(transaction);
      expect(await claimLane(5)).toMatchObject({ ids: [], passedOver: { parked: 0, undecided: 1 } });
      const third = await send(1);
      expect(await claim(second)).toBeUndefined();
      // Its nearest predecessor is free, so it was parked when it was stored.
      expect(await claim(third)).toBeUndefined();
      expect(await parkedCount()).toBe(1);
    });
    expect(await claimLane(5)).toMatchObject({ ids: [], passedOver: { parked: 1, undecided: 0 } });
  });

  test('is next as soon as its predecessor is gone, even if it was never parked', async () => {
    const [first, second] = [await send(1), await send(1)];
    const head = await claim(first);
    await makeAllDue();
    expect(await record(head)).toMatchObject({ deliveryId: second.deliveryId, attempt: 0 });
    expect(await claim(second)).toMatchObject({ attempt: 1 });
  });

  test('is woken when it was parked while the end of its predecessor was being recorded', async () => {
    const [first, second] = [await send(1), await send(1)];
    const head = await claim(first);
    await makeAllDue();
    let recorded: Promise<NextDelivery | undefined> | undefined;
    await database.transaction().execute(async (transaction) => {
      // What a claim does: it locks the predecessor, and parks.
      await sql`select from queue where delivery_id = ${first.deliveryId} for key share`.execute(transaction);
      recorded = record(head);
      await lockIsAwaited();
      await sql`
        update queue set due_at = '9999-01-01T00:00:00Z' where delivery_id = ${second.deliveryId}`.execute(transaction);
    });
    expect(await recorded).toMatchObject({ deliveryId: second.deliveryId });
    expect(await parkedCount()).toBe(0);
  });

  /** Another connection waits for a lock. */
  async function lockIsAwaited(): Promise<void> {
    for (;;) {
      const { rows } = await sql`
        select from pg_locks where not granted and pid in (
          select pid from pg_stat_activity where datname = current_database()
        )`.execute(database);
      if (rows.length > 0) {
        return;
      }
    }
  }
});
