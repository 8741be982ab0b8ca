import Database from 'better-sqlite3';

/** How long a statement waits for another process (a backup, a shell) to let go of the file. */
const BUSY_TIMEOUT_MS = 5_000;
const SYNCHRONOUS_FULL = 2;

/**
 * Opens the file so that a commit survives a power cut. With `synchronous` below FULL, commits that were
 * acknowledged are lost. The level is read back after a write, because SQLite applies its own default when
 * it first opens an existing WAL file, whatever was asked for before.
 *
 * @throws Error when the file cannot be opened, or commits to it cannot be made durable.
 */
export function openDurably(path: string): Database.Database {
  const database = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    database.pragma('foreign_keys = on');
    database.pragma('journal_mode = wal');
    database.pragma('synchronous = full');
    database.pragma(`user_version = ${String(database.pragma('user_version', { simple: true }))}`);
    expectSetting(database, 'synchronous', SYNCHRONOUS_FULL);
    expectSetting(database, 'foreign_keys', 1);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function expectSetting(database: Database.Database, name: string, expected: number): void {
  const actual = database.pragma(name, { simple: true });
  if (actual !== expected) {
    throw new Error(`SQLite reports ${name} = ${String(actual)} where ${expected} is needed for commits to be safe.`);
  }
}
