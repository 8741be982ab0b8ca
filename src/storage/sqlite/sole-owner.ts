import Database from 'better-sqlite3';
import { makePrivate } from './private-file.ts';

/** Another process serves from this file. The message is for the operator. */
export class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError';
}

/**
 * Claims a SQLite file for this process. One server holds leases in its memory, so a second one on the same
 * file would take over work that is not abandoned.
 *
 * The claim is a transaction that stays open on a small database beside the file: the operating system ends
 * it with the process, however that dies, so there is no stale lock to clean up; and the data file itself
 * stays readable for backups and for the sqlite3 shell. It lies beside the file's own path, so that all who come
 * by symbolic links meet there; a file with several hard links is refused. Whoever mounts the file alone, without
 * its folder, at two places is not seen.
 *
 * @returns a function that gives the claim up.
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
