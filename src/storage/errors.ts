import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UniqueConstraintViolationException } from '@mikro-orm/core';

/**
 * Failed connections (08), a server without resources (53), one that stops or cancels a slow statement (57), or has an
 * error of its own (58); an unavailable lock, and a read-only standby.
 */
const POSTGRESQL_OUTAGE = /^(?:08|53|57|58)\w{3}$|^(?:55P03|25006)$/u;
/** Another process holds the file, or the thread of the connection has ended. */
const SQLITE_OUTAGE = /^(?:SQLITE_(?:BUSY|LOCKED|INTERRUPT|PROTOCOL|NOMEM)|DATABASE_CLOSED)/u;
const NETWORK_OUTAGE =
  /^E(?:CONNREFUSED|CONNRESET|CONNABORTED|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|HOSTDOWN|NOTFOUND|AI_AGAIN|NOENT|ACCES)$/u;
/** PostgreSQL's driver gives these no code. */
const DRIVER_OUTAGE =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|Query read timeout|not queryable|connection is closed|driver has already been destroyed/iu;

/**
 * True if the database cannot be reached, does not answer in time, or cannot use its files. That is the operator's
 * concern, and may be over in a minute. An error that a statement itself causes is a fault of the program.
 */
export function isOutage(error: unknown): boolean {
  return error instanceof Error && (isOutageItself(error) || isOutage(error.cause) || isOutageOfAny(error));
}

function isOutageItself(error: Error & { code?: unknown; syscall?: unknown }): boolean {
  if (typeof error.code !== 'string') {
    return DRIVER_OUTAGE.test(error.message);
  }
  return (
    POSTGRESQL_OUTAGE.test(error.code) ||
    SQLITE_OUTAGE.test(error.code) ||
    FILE_FAULT.test(error.code) ||
    (NETWORK_OUTAGE.test(error.code) && error.syscall !== undefined)
  );
}

/** For a name with several addresses, each address has its own error. */
function isOutageOfAny(error: Error): boolean {
  return error instanceof AggregateError && error.errors.some(isOutage);
}

/** The database file cannot be used. The message is one line, for the operator. */
export class DatabaseFileError extends Error {
  override readonly name = 'DatabaseFileError';
}

/** SQLite's codes for a fault of the file, its folder or its disk. */
export const FILE_FAULT = /^SQLITE_(?:CANTOPEN|NOTADB|CORRUPT|READONLY|PERM|FULL|IOERR)/u;

/** Codes that SQLite may give for a full disk, for instance when it cannot create its shared memory file. */
const MAY_BE_FULL = /^(?:SQLITE_(?:FULL|IOERR|CANTOPEN)|ENOSPC)/u;
/** SQLite needs more than this to open a file. */
const LITTLE_ROOM_BYTES = 262_144;

/** @returns the error to throw instead of one that opening the database threw. */
export function toFileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error)) {
    return error;
  }
  const isFileFault = 'syscall' in error || FILE_FAULT.test(String(error.code));
  if (!isFileFault) {
    return error;
  }
  const reason = MAY_BE_FULL.test(String(error.code)) && isFull(path) ? 'its disk is full' : error.message;
  return new DatabaseFileError(`DATABASE_URL names ${path}, which cannot be used: ${reason}.`, { cause: error });
}

function isFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(resolve(path)));
    return bavail * bsize < LITTLE_ROOM_BYTES;
  } catch {
    return false;
  }
}

/** A newer version of the program has migrated this database. The message is one line, for the operator. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError';

  constructor(unknownMigration: string) {
    super(
      `The database is newer than this version of Data Pusher, which does not know its migration "${unknownMigration}"; start a newer version.`,
    );
  }
}

interface Named {
  readonly name: string;
}

/** The migrators of both databases have this in common. */
interface Migrator {
  getExecuted(): Promise<readonly Named[]>;
  up(): Promise<readonly Named[]>;
}

/**
 * @param known all migrations of this version
 * @returns the names of the applied migrations, in order.
 * @throws NewerDatabaseError before anything is changed
 */
export async function migrateUp(migrator: Migrator, known: readonly Named[]): Promise<readonly string[]> {
  const executed = await migrator.getExecuted();
  const unknown = executed.find(({ name }) => !known.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new NewerDatabaseError(unknown.name);
  }
  return (await migrator.up()).map(({ name }) => name);
}

export { LockMode } from '@mikro-orm/core';

/** True if a write failed because another account has the email address. */
export function isEmailTaken(error: unknown): boolean {
  return error instanceof UniqueConstraintViolationException && error.message.includes('email_key');
}
