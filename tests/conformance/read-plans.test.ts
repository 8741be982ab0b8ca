import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Kysely, type KyselyPlugin, RawNode, sql } from 'kysely';
import { EVERYTHING, type Scope } from '../../src/core/scope.ts';
import { POSTGRESQL_STATEMENTS } from '../../src/storage/postgresql/statements.ts';
import { UNMETERED } from '../../src/storage/read-models/reading.ts';
import { createReads } from '../../src/storage/read-models/reads.ts';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

/** Many times more rows than a page has. */
const ROWS = 30_000;
const HOT_TABLES = ['queue', 'delivery', 'attempt', 'event'];
const PAGE = { first: 20, after: undefined };
const UNKNOWN = '01900000-0000-7000-8000-000000000000';

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

/** Parts of the plan that read a hot table from its beginning to its end. */
function wholeTables(plan: Plan): string[] {
  const table = plan['Relation Name'] ?? '';
  const own = plan['Node Type'].endsWith('Seq Scan') && HOT_TABLES.includes(table) ? [table] : [];
  return [...own, ...(plan.Plans ?? []).flatMap(wholeTables)];
}

/** Has every statement explained, and answers it with no rows. */
function explaining(plans: Plan[]): KyselyPlugin {
  return {
    transformQuery({ node }) {
      if (!RawNode.is(node)) {
        return node;
      }
      const [first = '', ...others] = node.sqlFragments;
      return { ...node, sqlFragments: [`explain (format json) ${first}`, ...others] };
    },
    async transformResult({ result }) {
      for (const row of result.rows) {
        plans.push((row['QUERY PLAN'] as [{ Plan: Plan }])[0].Plan);
      }
      return { ...result, rows: [] };
    },
  };
}

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('what requests read on PostgreSQL', () => {
  let temporary: TemporaryDatabase;
  let storage: Storage;
  let database: Kysely<unknown>;
  let accountId: string;
  let destinationId: string;

  beforeAll(async () => {
    temporary = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    storage = await openStorage({ type: 'postgresql', url: temporary.url, isUnhurried: true }, TEST_VAULT);
    database = storage.fork(EVERYTHING).getKysely();
    const account = await new StoreFixture(() => storage).account(1);
    accountId = account.id;
    [destinationId] = account.destinationIds as [string];
    for (const table of HOT_TABLES) {
      await sql`alter table ${sql.table(table)} set (autovacuum_enabled = false)`.execute(database);
    }
  }, 60_000);

  afterAll(async () => {
    await storage.close();
    await temporary.drop();
  });

  async function plansOf(scope: Scope): Promise<Plan[]> {
    const plans: Plan[] = [];
    const em = storage.fork(scope);
    const explained = em.getKysely().withPlugin(explaining(plans));
    const proxy = new Proxy(em, {
      get: (target, name) => (name === 'getKysely' ? () => explained : Reflect.get(target, name, target)),
    });
    const { events, deliveries } = createReads(proxy, POSTGRESQL_STATEMENTS, scope, UNMETERED);
    const attempt = { deliveryId: UNKNOWN, number: 1, bodyBytes: 1 } as never;
    for (const status of [undefined, 'PENDING', 'FAILED'] as const) {
      await deliveries.deliveriesOf(destinationId, PAGE, status);
      await deliveries.deliveryCountOf(destinationId, status);
    }
    await Promise.all([
      deliveries.delivery(UNKNOWN),
      deliveries.deliveriesOfEvent(UNKNOWN),
      deliveries.attemptsOf(UNKNOWN),
      deliveries.responseBodyOf(attempt),
      events.eventsOf(accountId, PAGE),
      events.eventCountOf(accountId),
      events.payload(UNKNOWN),
    ]);
    return plans;
  }

  async function expectKeysOnly(): Promise<void> {
    for (const scope of [EVERYTHING, { accountId }]) {
      const plans = await plansOf(scope);
      expect(plans.length).toBeGreaterThanOrEqual(13);
      expect(plans.filter((plan) => wholeTables(plan).length > 0)).toEqual([]);
    }
  }

  async function insertRows(): Promise<void> {
    await sql`
      insert into event (id, account_id, payload, received_at)
      select gen_random_uuid(), ${accountId}, '{}', now() from generate_series(1, ${ROWS}::int)`.execute(database);
    await sql`
      insert into delivery (id, event_id, destination_id, status, attempt_count)
      select id, id, ${destinationId}, 'SUCCEEDED', 1 from event`.execute(database);
    await sql`
      insert into attempt (delivery_id, number, started_at, duration_ms) select id, 1, now(), 1 from delivery`.execute(
      database,
    );
  }

  test('is found by key in tables that are empty, have just been filled, and are large', async () => {
    await expectKeysOnly();
    await insertRows();
    await expectKeysOnly();
    await sql`analyze`.execute(database);
    await expectKeysOnly();
  }, 60_000);
});
