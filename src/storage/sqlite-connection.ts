import Database from 'better-sqlite3';
import { SqliteDialect } from 'kysely';

/** How long a statement waits for another process (a backup, a shell) to let go of the file. */
const BUSY_TIMEOUT_MS = 5_000;
const SYNCHRONOUS_FULL = 2;
/** The product has a few dozen statements; those that MikroORM composes from inputs are not without number either. */
const STATEMENTS_KEPT_MAX = 256;

/** @throws Error when the file cannot be opened, or commits to it cannot be made durable. */
export function sqliteDialect(path: string): SqliteDialect {
  const database = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    makeDurable(database);
  } catch (error) {
    database.close();
    throw error;
  }
  return new SqliteDialect({ database: { prepare: cachedPrepare(database), close: () => void database.close() } });
}

/**
 * With `synchronous` below FULL a power cut loses commits that were acknowledged. The level is read back
 * after a write, because SQLite applies its own default when it first opens an existing WAL file, whatever
 * was asked for before.
 */
function makeDurable(database: Database.Database): void {
  database.pragma('foreign_keys = on');
  database.pragma('journal_mode = wal');
  database.pragma('synchronous = full');
  database.pragma(`user_version = ${String(database.pragma('user_version', { simple: true }))}`);
  expectSetting(database, 'synchronous', SYNCHRONOUS_FULL);
  expectSetting(database, 'foreign_keys', 1);
}

function expectSetting(database: Database.Database, name: string, expected: number): void {
  const actual = database.pragma(name, { simple: true });
  if (actual !== expected) {
    throw new Error(`SQLite reports ${name} = ${String(actual)} where ${expected} is needed for commits to be safe.`);
  }
}

/** Kysely prepares a statement each time it runs it, which costs about as much as running it. */
function cachedPrepare(database: Database.Database): (sql: string) => Database.Statement {
  const statements = new Map<string, Database.Statement>();
  return (sql) => {
    const statement = statements.get(sql) ?? database.prepare(sql);
    statements.delete(sql);
    statements.set(sql, statement);
    if (statements.size > STATEMENTS_KEPT_MAX) {
      statements.delete(statements.keys().next().value ?? '');
    }
    return statement;
  };
}
