import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { DatabaseFileError } from '../errors.ts';

/** SQLite writes all that is live to a file of its own, and from there to the log, before it takes the old place. */
const COPIES = 2;
/** For the frames of the log, and for what else is written meanwhile. */
const MARGIN_SHARE = 0.05;
const MARGIN_BYTES = 2 * 1_048_576;
const MIB = 1_048_576;

/**
 * What was plain would otherwise stay readable in free pages and in the log.
 *
 * @returns false when somebody else reads the file, so that the log still has what it had.
 */
export async function erase(database: Kysely<unknown>, path: string): Promise<boolean> {
  // The folder of the system for such files may be small, and lies elsewhere than where the room was looked for.
  if (path !== ':memory:') {
    await sql`pragma temp_store_directory = ${sql.lit(folderOf(path))}`.execute(database);
  }
  await sql`vacuum`.execute(database);
  const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(database);
  return rows[0]?.busy !== 1;
}

/**
 * Before anything is changed, so that an earlier version can go on meanwhile: a disk that has become full would not
 * even let the file be opened.
 *
 * @throws DatabaseFileError that says how much is missing.
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

/** Of an earlier version, or by a start that did not come to the end of it. */
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
