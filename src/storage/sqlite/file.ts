import { chmodSync, closeSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { DatabaseFileError } from '../errors.ts';

/** How long a statement waits until another process (a backup, a shell) unlocks the file. */
const BUSY_TIMEOUT_MS = 5_000;
const SYNCHRONOUS_FULL = 2;

/**
 * Opens the file. Commits survive a power cut: with `synchronous` below FULL, acknowledged commits would be lost. The
 * level is read back after a write, because SQLite applies its own default when it first opens an existing WAL file,
 * even if another level was set before.
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

/** The write-ahead log never blocks readers, unless a restart is emptying it. */
const READER_BUSY_TIMEOUT_MS = 1_000;

/**
 * Opens the file for reading only. Each statement sees what was committed before it began.
 *
 * @throws Error when the file cannot be opened.
 */
export function openForReading(path: string): Database.Database {
  const database = new Database(path, { readonly: true, fileMustExist: true, timeout: READER_BUSY_TIMEOUT_MS });
  database.pragma('query_only = on');
  return database;
}

const OWNER_ONLY = 0o600;
const OF_OTHERS = 0o077;

/**
 * Creates the file and its folder if there are none, and makes the file readable for its owner only. SQLite gives its
 * other files the same mode. Files of an earlier version may be readable for all.
 *
 * @returns the file's real path, without symbolic links.
 * @throws DatabaseFileError, or an Error with a `syscall`
 */
export function makePrivate(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    mkdirSync(dirname(resolve(path)), { recursive: true });
    closeSync(openSync(path, 'a', OWNER_ONLY));
  } else {
    refuseOddFile(path, found);
  }
  const own = realpathSync(path);
  for (const file of [own, `${own}-wal`, `${own}-shm`]) {
    tighten(file);
  }
  return own;
}

/** SQLite puts the log beside the name under which it opened the file. Under another name it would not find the log. */
function refuseOddFile(path: string, found: Stats): void {
  if (!found.isFile()) {
    throw new DatabaseFileError(`DATABASE_URL names ${path}, which is not a file.`);
  }
  if (found.nlink > 1) {
    throw new DatabaseFileError(
      `DATABASE_URL names ${path}, which has ${found.nlink} names (hard links): SQLite's log belongs to one of them, and under another data would be lost. Remove the others.`,
    );
  }
}

function tighten(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined || (found.mode & OF_OTHERS) === 0) {
    return;
  }
  try {
    chmodSync(file, OWNER_ONLY);
  } catch (error) {
    // Another user owns the file, and may have reasons for its mode.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') {
      throw error;
    }
  }
}

/** Another process serves from this file. The message is for the operator. */
export class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError';
}

/**
 * Claims a SQLite file for this process. A start ends all leases, so a second server on the same file would take over
 * deliveries that the first one is making.
 *
 * The claim is an open transaction on a small database beside the file. The operating system ends it with the process,
 * so there is never a stale lock to clean up, and backups and the sqlite3 shell can still read the data file. It lies
 * beside the real path, where processes that use different symbolic links meet. A file with several hard links is
 * refused. If the file alone is mounted at two places, without its folder, two processes do not notice each other.
 *
 * @returns a function that ends the claim.
 * @throws DatabaseInUseError, DatabaseFileError, or an Error with a `syscall`
 */
export function becomeSoleOwner(path: string): () => void {
  if (path === ':memory:') {
    return () => undefined;
  }
  const lock = new Database(makePrivate(`${makePrivate(path)}.lock`), { timeout: 0 });
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    throw isBusy(error)
      ? new DatabaseInUseError(`The database ${path} is in use by another Data Pusher process.`)
      : error;
  }
  return () => lock.close();
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}
