import { expect, test } from '@jest/globals';
import { type RawBuilder, sql } from 'kysely';
import type { StoredRoutes } from '../../src/core/account-routes.ts';
import { hashToken } from '../../src/core/secrets.ts';
import { POSTGRESQL_STATEMENTS } from '../../src/storage/postgresql/statements.ts';
import type { Statement } from '../../src/storage/typed-statement.ts';
import { DELIVERED, firstClaimed, NOW } from '../support/store-fixture.ts';
import { describePlans, type ExplainedRow, HOT_TABLES, hotScansOf, type Plan } from './planned-store.ts';

/** Many times more rows than a statement may touch. */
const BACKLOG = 20_000;
const ORDER_KEY = 'k'.repeat(22);

/** How many rows each part of the plan has read of a hot table. */
function readsOf(plan: Plan): { node: string; table: string | undefined; rows: number }[] {
  return hotScansOf(plan).map((scan) => ({
    node: scan['Node Type'],
    table: scan['Relation Name'],
    rows: (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops'],
  }));
}

describePlans('statements of the pipeline on PostgreSQL', (store) => {
  /** Everything that the pipeline asks for one event, as it stands at this moment. */
  async function statements(): Promise<Record<string, RawBuilder<unknown> | undefined>> {
    const { storage, database, fixture, account } = store();
    const { token, destinationId } = account;
    const [ticket] = await fixture.event(token);
    const [other] = await fixture.event(token);
    if (ticket === undefined || other === undefined) {
      throw new Error('There are no tickets.');
    }
    const claimed = await firstClaimed(storage.deliveries.claim({ ticket: other, leaseMs: 60_000, blame: 1 }));
    const made = { deliveryId: other.deliveryId, attempt: claimed?.attempt ?? 0, place: null };
    const state = { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW } as const;
    const {
      findRoutes,
      storeEvents,
      countDeliveries,
      claim,
      claimLanes,
      claimLost,
      claimRated,
      record,
      release,
      findLanes,
      findRetries,
    } = POSTGRESQL_STATEMENTS;
    const tokenHash = hashToken(token);
    const [lock, read] = findRoutes(tokenHash) as [Statement<StoredRoutes>, Statement<StoredRoutes>];
    const [routes] = read.read((await read.query.execute(database)).rows);
    const version = routes?.version ?? 0;
    const destinationIds = [destinationId];
    const fanOut = { tokenHash, accountId: account.id, version, destinationIds, skipped: null, orderKeys: null };
    const leader = fixture.newId();
    const event = { type: null, payload: Buffer.from('{}'), receivedAt: NOW, hops: 0, fanOut };
    const rated = (lostMost: number | null) =>
      claimRated([{ destinationId, limit: 8, from: 0, lostMost, leaseMs: 60_000, blame: 1 }]);
    const place = { destinationId, key: ORDER_KEY, number: 1 };
    return {
      lockRoutes: lock.query,
      findRoutes: read.query,
      storeEvents: storeEvents([{ ...event, id: fixture.newId(), idempotencyKey: null }]).query,
      storeKeyedEvents: storeEvents([{ ...event, id: fixture.newId(), idempotencyKey: 'k' }]).query,
      storeBatch: storeEvents([
        { ...event, id: leader, idempotencyKey: 'b', batch: '{}' },
        { ...event, id: fixture.newId(), idempotencyKey: null, follows: leader },
      ]).query,
      countDeliveries: countDeliveries([other.deliveryId]),
      storeOrderedEvents: storeEvents([
        { ...event, id: fixture.newId(), idempotencyKey: null, fanOut: { ...fanOut, orderKeys: [ORDER_KEY] } },
        { ...event, id: fixture.newId(), idempotencyKey: null, fanOut: { ...fanOut, orderKeys: [null] } },
      ]).query,
      claim: claim([{ ticket, leaseMs: 60_000, blame: 1 }])[0]?.query,
      claimLanes: claimLanes([{ destinationId, limit: 8, from: 0, leaseMs: 60_000, blame: 1 }])[0]?.query,
      makeRate: rated(null)[0]?.query,
      claimRated: rated(null)[1]?.query,
      claimRatedLost: rated(9)[1]?.query,
      claimLost: claimLost([{ destinationId, lostMost: 9, leaseMs: 60_000, blame: 1 }])[0]?.query,
      record: record([{ ...made, destinationVersion: 1, outcome: DELIVERED, state }])[0]?.query,
      recordGone: record([{ ...made, destinationVersion: 1, outcome: { ...DELIVERED, statusCode: 410 }, state }])[0]
        ?.query,
      wakeNext: record([{ ...made, place, destinationVersion: 1, outcome: DELIVERED, state }])[1]?.query,
      release: release([made]).query,
      findLanes: findLanes({ after: '', limit: 256, graceMs: 0 }),
      findRetries: findRetries({ after: 0, limit: 32 }),
    };
  }

  /** The statements are planned and run, and then undone. */
  async function expectKeysOnly(): Promise<void> {
    for (const [name, statement] of Object.entries(await statements())) {
      const { rows } = await store()
        .database.transaction()
        .execute(async (transaction) => {
          const explained = sql<ExplainedRow>`explain (analyze, format json) ${statement}`;
          const answer = await explained.execute(transaction);
          throw Object.assign(new Error('undone'), { rows: answer.rows });
        })
        .catch((error: { rows?: ExplainedRow[] }) => ({ rows: error.rows ?? [] }));
      const [plan] = rows.map((row) => row['QUERY PLAN'][0].Plan);
      expect({ name, plan }).toMatchObject({ plan: expect.anything() });
      const tooMany = readsOf(plan as Plan).filter(({ rows: count }) => count > 70);
      expect({ name, tooMany }).toEqual({ name, tooMany: [] });
    }
  }

  async function finishedRows(count: number): Promise<void> {
    await sql`
      insert into delivery (id, event_id, destination_id, status, attempt_count, completed_at)
      select gen_random_uuid(), gen_random_uuid(), ${store().account.destinationId}, 'SUCCEEDED', 1, now() from generate_series(1, ${count}::int)
    `.execute(store().database);
    await sql`
      insert into attempt (delivery_id, number, started_at, duration_ms) select id, 1, now(), 1 from delivery
      on conflict do nothing`.execute(store().database);
  }

  async function pendingRows(count: number): Promise<void> {
    await sql`
      insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
      select gen_random_uuid(), gen_random_uuid(), ${store().account.destinationId}, 0, 0, 0, now(), n % 2 = 0
      from generate_series(1, ${count}::int) n`.execute(store().database);
  }

  /** Half of them have many predecessors, and half are alone with their keys. */
  async function orderedRows(count: number): Promise<void> {
    await sql`
      insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits,
                         order_key, order_seq)
      select gen_random_uuid(), gen_random_uuid(), ${store().account.destinationId}, 0, 0, 0,
             case when n % 2 = 0 then now() - interval '1 hour' else '9999-01-01T00:00:00Z' end, false,
             case when n % 2 = 0 then n::text else ${ORDER_KEY} end, n
      from generate_series(1, ${count}::int) n`.execute(store().database);
  }

  async function analyse(): Promise<void> {
    for (const table of HOT_TABLES) {
      await sql`analyze ${sql.table(table)}`.execute(store().database);
    }
  }

  test('read a few rows by their keys, whatever the tables hold and the statistics say', async () => {
    // Empty.
    await expectKeysOnly();
    // A backlog, on statistics that say that there is nothing.
    await analyse();
    await pendingRows(BACKLOG);
    await finishedRows(BACKLOG);
    await expectKeysOnly();
    // The same, when the statistics know.
    await analyse();
    await expectKeysOnly();
    // A history, and no backlog any more but its dead rows; the statistics still tell of it.
    await sql`delete from queue`.execute(store().database);
    await finishedRows(10 * BACKLOG);
    await expectKeysOnly();
    // A backlog again, on statistics of the empty table.
    await sql`vacuum queue`.execute(store().database);
    await analyse();
    await pendingRows(BACKLOG);
    await expectKeysOnly();
    // With an order too, on statistics that do not know.
    await orderedRows(BACKLOG);
    await expectKeysOnly();
    await analyse();
    await expectKeysOnly();
    // Nearly all have been made, and vacuum has not come.
    await sql`delete from queue where order_seq < ${BACKLOG - 10}`.execute(store().database);
    await expectKeysOnly();
  }, 180_000);
});
