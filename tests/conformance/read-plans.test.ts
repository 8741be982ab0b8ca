import { expect, test } from '@jest/globals';
import { type KyselyPlugin, RawNode, sql } from 'kysely';
import { EVERYTHING, type Scope } from '../../src/core/scope.ts';
import { POSTGRESQL_STATEMENTS } from '../../src/storage/postgresql/statements.ts';
import { UNMETERED } from '../../src/storage/read-models/reading.ts';
import { createReads } from '../../src/storage/read-models/reads.ts';
import { describePlans, type ExplainedRow, hotScansOf, type Plan } from './planned-store.ts';

/** Many times more rows than a page has. */
const ROWS = 30_000;
const PAGE = { first: 20, after: undefined };
const UNKNOWN = '01900000-0000-7000-8000-000000000000';

/** Whether the plan reads a hot table from its beginning to its end. */
function readsWholeTable(plan: Plan): boolean {
  return hotScansOf(plan).some((scan) => scan['Node Type'].endsWith('Seq Scan'));
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
        plans.push((row['QUERY PLAN'] as ExplainedRow['QUERY PLAN'])[0].Plan);
      }
      return { ...result, rows: [] };
    },
  };
}

describePlans('what requests read on PostgreSQL', (store) => {
  async function plansOf(scope: Scope): Promise<Plan[]> {
    const plans: Plan[] = [];
    const { storage, account } = store();
    const { destinationId } = account;
    const em = storage.fork(scope);
    const explained = em.getKysely().withPlugin(explaining(plans));
    const proxy = new Proxy(em, {
      get: (target, name) => (name === 'getKysely' ? () => explained : Reflect.get(target, name, target)),
    });
    const { events, deliveries, routes } = createReads(proxy, POSTGRESQL_STATEMENTS, scope, UNMETERED);
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
      events.eventsOf(account.id, PAGE),
      events.eventCountOf(account.id),
      events.payload(UNKNOWN),
      routes.routesOf(UNKNOWN),
    ]);
    return plans;
  }

  async function expectKeysOnly(): Promise<void> {
    for (const scope of [EVERYTHING, { accountId: store().account.id }]) {
      const plans = await plansOf(scope);
      expect(plans.length).toBeGreaterThanOrEqual(14);
      expect(plans.filter(readsWholeTable)).toEqual([]);
    }
  }

  async function insertRows(): Promise<void> {
    const { database, account } = store();
    await sql`
      insert into event (id, account_id, payload, received_at)
      select gen_random_uuid(), ${account.id}, '{}', now() from generate_series(1, ${ROWS}::int)`.execute(database);
    await sql`
      insert into delivery (id, event_id, destination_id, status, attempt_count)
      select id, id, ${account.destinationId}, 'SUCCEEDED', 1 from event`.execute(database);
    await sql`
      insert into attempt (delivery_id, number, started_at, duration_ms) select id, 1, now(), 1 from delivery`.execute(
      database,
    );
  }

  test('is found by key in tables that are empty, have just been filled, and are large', async () => {
    await expectKeysOnly();
    await insertRows();
    await expectKeysOnly();
    await sql`analyze`.execute(store().database);
    await expectKeysOnly();
  }, 60_000);
});
