import { chmodSync, closeSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseFileError } from '../file-error.ts';

const OWNER_ONLY = 0o600;
const OF_OTHERS = 0o077;

/**
 * Makes the file, and its folder, where there is none; what SQLite puts beside a file gets its mode. An earlier
 * version has left its files readable to all.
 *
 * @returns the file's own path, whatever links lead to it.
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

/** SQLite keeps the log beside the name that it was given: under another name of the file it would be missed. */
function refuseOddFile(path: string, found: Stats): void {
  if (!found.isFile()) {
    throw new DatabaseFileError(`DATABASE_URL names ${path}, which is no file.`);
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
    // It belongs to somebody else, who may have reasons.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') {
      throw error;
    }
  }
}
