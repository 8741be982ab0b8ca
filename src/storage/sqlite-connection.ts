import { CompiledQuery, type DatabaseConnection } from 'kysely';

/** How long a statement waits for another process (a backup, a shell) to let go of the file. */
const BUSY_TIMEOUT_MS = 5_000;
const SYNCHRONOUS_FULL = 2;

/**
 * Makes a commit durable: with `synchronous` below FULL a power cut loses commits that were acknowledged.
 * The level is read back after a write, because SQLite applies its own default when it first opens an
 * existing WAL file, whatever was asked for before.
 *
 * @throws Error when the file system or the driver does not give what was asked for.
 */
export async function prepareConnection(connection: unknown): Promise<void> {
  const database = connection as DatabaseConnection;
  await run(database, `pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
  await run(database, 'pragma foreign_keys = on');
  await run(database, 'pragma journal_mode = wal');
  await run(database, 'pragma synchronous = full');
  await writeSomething(database);
  await expectSetting(database, 'synchronous', SYNCHRONOUS_FULL);
  await expectSetting(database, 'foreign_keys', 1);
}

async function writeSomething(database: DatabaseConnection): Promise<void> {
  const version = await setting(database, 'user_version');
  await run(database, `pragma user_version = ${Number(version)}`);
}

async function expectSetting(database: DatabaseConnection, name: string, expected: number): Promise<void> {
  const actual = await setting(database, name);
  if (actual !== expected) {
    throw new Error(`SQLite reports ${name} = ${String(actual)} where ${expected} is needed for commits to be safe.`);
  }
}

async function setting(database: DatabaseConnection, name: string): Promise<unknown> {
  const { rows } = await run(database, `pragma ${name}`);
  return Object.values((rows[0] as Record<string, unknown> | undefined) ?? {})[0];
}

async function run(database: DatabaseConnection, sql: string): Promise<{ rows: unknown[] }> {
  return database.executeQuery(CompiledQuery.raw(sql));
}
