import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Statement } from '../../src/storage/group-commit.ts';
import { POSTGRESQL_STATEMENTS } from '../../src/storage/postgresql/statements.ts';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { DELIVERED, NOW, StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

/** Many times more rows than a statement may touch. */
const BACKLOG = 20_000;
/** Tables that grow with the load; the others have a row for each account or destination. */
const HOT_TABLES = ['queue', 'delivery', 'attempt', 'event'];

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
}

/** What each part of the plan has read of a hot table. */
function readsOf(plan: Plan): { node: string; table: string; rows: number }[] {
  const table = plan['Relation Name'];
  const rows = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
  const own =
    table !== undefined && HOT_TABLES.includes(table) && plan['Node Type'].includes('Scan')
      ? [{ node: plan['Node Type'], table, rows }]
      : [];
  return [...own, ...(plan.Plans ?? []).flatMap(readsOf)];
}

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('statements of the pipeline on PostgreSQL', () => {
  let temporary: TemporaryDatabase;
  let storage: Storage;
  let database: Kysely<unknown>;
  let fixture: StoreFixture;
  let token: string;
  let destinationId: string;

  beforeAll(async () => {
    temporary = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    storage = await openStorage({ type: 'postgresql', url: temporary.url, isUnhurried: true }, TEST_VAULT);
    database = storage.fork(EVERYTHING).getKysely();
    fixture = new StoreFixture(() => storage);
    const account = await fixture.account(1);
    ({ token } = account);
    [destinationId] = account.destinationIds as [string];
    // What is planned below must not be saved by an analysis that comes in time.
    for (const table of HOT_TABLES) {
      await sql`alter table ${sql.table(table)} set (autovacuum_enabled = false)`.execute(database);
    }
  }, 60_000);

  afterAll(async () => {
    await storage.close();
    await temporary.drop();
  });

  /** Everything that the pipeline asks for one event, as it stands at this moment. */
  async function statements(): Promise<Record<string, Statement | undefined>> {
    const [ticket] = await fixture.event(token);
    const [other] = await fixture.event(token);
    if (ticket === undefined || other === undefined) {
      throw new Error('There are no tickets.');
    }
    const claimed = await storage.deliveries.claim({ ticket: other, leaseMs: 60_000, blame: 1 });
    const claim = { deliveryId: other.deliveryId, attempt: claimed?.attempt ?? 0 };
    const state = { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW } as const;
    const { events, claims, laneClaims, lostClaims, records, releases, findLanes, findRetries } = POSTGRESQL_STATEMENTS;
    const event = { id: fixture.newId(), tokenHash: 'nobody', payload: Buffer.from('{}'), receivedAt: NOW };
    return {
      events: events.statements([{ ...event, idempotencyKey: null, hops: 0 }])[0],
      claims: claims.statements([{ ticket, leaseMs: 60_000, blame: 1 }])[0],
      laneClaims: laneClaims.statements([{ destinationId, limit: 8, from: 0, leaseMs: 60_000, blame: 1 }])[0],
      lostClaims: lostClaims.statements([{ destinationId, lostMost: 9, leaseMs: 60_000, blame: 1 }])[0],
      records: records.statements([{ ...claim, destinationVersion: 1, outcome: DELIVERED, state }])[0],
      releases: releases.statements([claim])[0],
      findLanes: findLanes({ after: '', limit: 256, graceMs: 0 }),
      findRetries: findRetries({ after: 0, limit: 32 }),
    };
  }

  /** The statements are planned and run, and then undone. */
  async function expectKeysOnly(): Promise<void> {
    for (const [name, statement] of Object.entries(await statements())) {
      const { rows } = await database
        .transaction()
        .execute(async (transaction) => {
          const explained = sql<{ 'QUERY PLAN': [{ Plan: Plan }] }>`explain (analyze, format json) ${statement}`;
          const answer = await explained.execute(transaction);
          throw Object.assign(new Error('undone'), { rows: answer.rows });
        })
        .catch((error: { rows?: { 'QUERY PLAN': [{ Plan: Plan }] }[] }) => ({ rows: error.rows ?? [] }));
      const [plan] = rows.map((row) => row['QUERY PLAN'][0].Plan);
      expect({ name, plan }).toMatchObject({ plan: expect.anything() });
      const tooMany = readsOf(plan as Plan).filter(({ rows: count }) => count > 70);
      expect({ name, tooMany }).toEqual({ name, tooMany: [] });
    }
  }

  async function finishedRows(count: number): Promise<void> {
    await sql`
      insert into delivery (id, event_id, destination_id, status, attempt_count, completed_at)
      select gen_random_uuid(), gen_random_uuid(), ${destinationId}, 'SUCCEEDED', 1, now() from generate_series(1, ${count}::int)
    `.execute(database);
    await sql`
      insert into attempt (delivery_id, number, started_at, duration_ms) select id, 1, now(), 1 from delivery
      on conflict do nothing`.execute(database);
  }

  async function pendingRows(count: number): Promise<void> {
    await sql`
      insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
      select gen_random_uuid(), gen_random_uuid(), ${destinationId}, 0, 0, 0, now(), n % 2 = 0
      from generate_series(1, ${count}::int) n`.execute(database);
  }

  async function analyse(): Promise<void> {
    for (const table of HOT_TABLES) {
      await sql`analyze ${sql.table(table)}`.execute(database);
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
    await sql`delete from queue`.execute(database);
    await finishedRows(10 * BACKLOG);
    await expectKeysOnly();
    // A backlog again, on statistics of the empty table.
    await sql`vacuum queue`.execute(database);
    await analyse();
    await pendingRows(BACKLOG);
    await expectKeysOnly();
  }, 120_000);
});
