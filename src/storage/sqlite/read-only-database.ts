import Database from 'better-sqlite3';

/** The write-ahead log lets readers in at any time; only who empties the log at a restart may be in the way. */
const BUSY_TIMEOUT_MS = 1_000;

/**
 * Opens the file for reading only. Each statement sees what was committed before it began.
 *
 * @throws Error when the file cannot be opened.
 */
export function openForReading(path: string): Database.Database {
  const database = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  database.pragma('query_only = on');
  return database;
}
