import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** The database file cannot be used. The message is one line, for the operator. */
export class DatabaseFileError extends Error {
  override readonly name = 'DatabaseFileError';
}

/** What SQLite says when the file, its folder or its disk is at fault, and not a statement. */
export const FILE_FAULT = /^SQLITE_(?:CANTOPEN|NOTADB|CORRUPT|READONLY|PERM|FULL|IOERR)/u;

/** What SQLite says when there is no room on the disk, or may say: for the memory that it shares, say. */
const MAY_BE_FULL = /^(?:SQLITE_(?:FULL|IOERR|CANTOPEN)|ENOSPC)/u;
/** With less than that it cannot even open a file. */
const LITTLE_ROOM_BYTES = 262_144;

/** @returns what to throw in the place of an error that opening the database came to. */
export function explainFileError(path: string, error: unknown): unknown {
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
