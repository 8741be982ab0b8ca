import { openStorage } from '../../src/storage/open-storage.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import { TEST_VAULT } from '../support/vault.ts';

export interface CompetingStores {
  readonly stores: readonly Storage[];
  close(): Promise<void>;
}

/** Each store has its own connections and its own memory of routes, as two processes have. */
async function twoOnPostgresql(server: string): Promise<CompetingStores> {
  const { url, drop } = await createTemporaryDatabase(server);
  const open = () => openStorage({ type: 'postgresql', url }, TEST_VAULT);
  const stores = [await open(), await open()];
  return {
    stores,
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      await drop();
    },
  };
}

async function oneOnSqlite(): Promise<CompetingStores> {
  const store = await openStorage({ type: 'sqlite', path: ':memory:' }, TEST_VAULT);
  return { stores: [store], close: () => store.close() };
}

/** As many as each database can have of one and the same database. */
export const COMPETING_STORES = [
  { name: 'SQLite', open: oneOnSqlite },
  ...(TEST_DATABASE_URL === undefined
    ? []
    : [{ name: 'two stores on PostgreSQL', open: () => twoOnPostgresql(TEST_DATABASE_URL as string) }]),
];
