import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { DatabaseFileError } from '../errors.ts';

/** `vacuum` copies all live pages to a temporary file, and from there to the log. */
const COPIES = 2;
/** For the log's frames, and for other writes at the same time. */
const MARGIN_SHARE = 0.05;
const MARGIN_BYTES = 2 * 1_048_576;
const MIB = 1_048_576;

/**
 * Rewrites the file, because replaced plain texts stay readable in free pages and in the log.
 *
 * @returns false when another process reads the file: then the log could not be emptied.
 */
export async function erase(database: Kysely<unknown>, path: string): Promise<boolean> {
  // The system's folder for temporary files may be small; room was checked beside the file.
  if (path !== ':memory:') {
    await sql`pragma temp_store_directory = ${sql.lit(folderOf(path))}`.execute(database);
  }
  await sql`vacuum`.execute(database);
  const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(database);
  return rows[0]?.busy !== 1;
}

/**
 * Runs before anything is changed, so that the operator can go back to the earlier version. After the erasure has filled
 * the disk, SQLite could not even open the file.
 *
 * @throws DatabaseFileError that says how much room is missing.
 */
export async function requireRoomToErase(database: Kysely<unknown>, path: string): Promise<void> {
  if (path === ':memory:' || !(await willErase(database))) {
    return;
  }
  const { rows } = await sql<{ bytes: number }>`
    select (page_count - freelist_count) * page_size as bytes
    from pragma_page_count, pragma_freelist_count, pragma_page_size`.execute(database);
  const needed = Math.ceil((rows[0]?.bytes ?? 0) * COPIES * (1 + MARGIN_SHARE)) + MARGIN_BYTES;
  const { bavail, bsize } = await statfs(folderOf(path));
  const missing = needed - bavail * bsize;
  if (missing > 0) {
    throw new DatabaseFileError(
      `Secrets that an earlier version has left readable in ${path} are to be erased, which takes room for ${COPIES} copies of it for a while: ${Math.ceil(missing / MIB)} MiB more have to be free in ${folderOf(path)}.`,
    );
  }
}

/** True for a database of an earlier version, and after a start that did not complete the erasure. */
async function willErase(database: Kysely<unknown>): Promise<boolean> {
  const { rows } = await sql<{ name: string }>`
    select name from sqlite_schema where type = 'table' and name in ('account', 'setting')`.execute(database);
  const has = (table: string): boolean => rows.some(({ name }) => name === table);
  if (!has('account')) {
    return false;
  }
  const due = has('setting') ? sql`select 1 from setting where name = 'erase-due'` : sql`select 1 from account limit 1`;
  return (await due.execute(database)).rows.length > 0;
}

function folderOf(path: string): string {
  return dirname(resolve(path));
}
