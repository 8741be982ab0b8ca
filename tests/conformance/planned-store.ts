import { afterAll, beforeAll } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

/** Tables that grow with the load; the others have a row for each account or destination. */
export const HOT_TABLES = ['queue', 'delivery', 'attempt', 'event'];

export interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
}

/** The one column and row of `explain (format json)`. */
export interface ExplainedRow {
  readonly 'QUERY PLAN': readonly [{ readonly Plan: Plan }];
}

/** The nodes of a plan that read a hot table. */
export function hotScansOf(plan: Plan): readonly Plan[] {
  const isHot = HOT_TABLES.includes(plan['Relation Name'] ?? '') && plan['Node Type'].includes('Scan');
  return [...(isHot ? [plan] : []), ...(plan.Plans ?? []).flatMap(hotScansOf)];
}

/** A PostgreSQL store with one account and one destination, whose statistics are only what a test makes of them. */
export interface PlannedStore {
  readonly storage: Storage;
  readonly database: Kysely<unknown>;
  readonly fixture: StoreFixture;
  readonly account: { readonly id: string; readonly token: string; readonly destinationId: string };
}

/** A `describe` whose tests are given such a store. */
export function describePlans(name: string, tests: (store: () => PlannedStore) => void): void {
  describeWhere(
    TEST_DATABASE_URL !== undefined,
    'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
  )(name, () => {
    let temporary: TemporaryDatabase;
    let store: PlannedStore;

    beforeAll(async () => {
      temporary = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
      store = await openPlannedStore(temporary.url);
    }, 60_000);

    afterAll(async () => {
      await store.storage.close();
      await temporary.drop();
    });

    tests(() => store);
  });
}

async function openPlannedStore(url: string): Promise<PlannedStore> {
  const storage = await openStorage({ type: 'postgresql', url, isUnhurried: true }, TEST_VAULT);
  const database: Kysely<unknown> = storage.fork(EVERYTHING).getKysely();
  const fixture = new StoreFixture(() => storage);
  const { id, token, destinationIds } = await fixture.account(1);
  // A timely analysis must not save the plans that the tests are about.
  for (const table of HOT_TABLES) {
    await sql`alter table ${sql.table(table)} set (autovacuum_enabled = false)`.execute(database);
  }
  return { storage, database, fixture, account: { id, token, destinationId: destinationIds[0] as string } };
}
