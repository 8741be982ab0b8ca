/** The database file cannot be used. The message is one line, for the operator. */
export class DatabaseFileError extends Error {
  override readonly name = 'DatabaseFileError';
}

/** What SQLite says when the file, its folder or its disk is at fault, and not a statement. */
const FILE_FAULT = /^SQLITE_(?:CANTOPEN|NOTADB|CORRUPT|READONLY|PERM|FULL|IOERR)/u;

/** @returns what to throw in the place of an error that opening the database came to. */
export function explainFileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error)) {
    return error;
  }
  const isFileFault = 'syscall' in error || FILE_FAULT.test(String(error.code));
  return isFileFault
    ? new DatabaseFileError(`DATABASE_URL names ${path}, which cannot be used: ${error.message}.`, { cause: error })
    : error;
}
