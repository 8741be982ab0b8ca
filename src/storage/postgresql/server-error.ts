/** The database server cannot be used. The message is one line, for the operator. */
export class DatabaseServerError extends Error {
  override readonly name = 'DatabaseServerError';
}

/**
 * PostgreSQL's classes of codes for a failed connection, a wrong user or password, a database that does not exist, no
 * more room or connections, and a server that starts or stops.
 */
const SERVER_FAULT = /^(?:08|28|3D|53|57)[0-9A-Z]{3}$/u;
const INSUFFICIENT_PRIVILEGE = '42501';

/** @returns what to throw in the place of an error that opening the database came to. */
export function explainServerError(error: unknown): unknown {
  if (!(error instanceof Error)) {
    return error;
  }
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (code === INSUFFICIENT_PRIVILEGE) {
    return new DatabaseServerError(
      `PostgreSQL does not let the user of DATABASE_URL make or change tables: ${reasonOf(error)}. Let it own the schema, or "grant create on schema public" to it.`,
      { cause: error },
    );
  }
  return syscall !== undefined || SERVER_FAULT.test(String(code)) ? refusal(error) : error;
}

/** For whatever happens while a connection is made. */
export function refusal(error: Error): DatabaseServerError {
  return new DatabaseServerError(`PostgreSQL refuses the connection of DATABASE_URL: ${reasonOf(error)}.`, {
    cause: error,
  });
}

/** Of a name with several addresses, the error of each is within one that says nothing; the mapper adds the statement. */
function reasonOf(error: Error): string {
  const { message } = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  return (message.split('\n').at(-1) ?? '').replace(/^.* - /u, '').replace(/\.$/u, '');
}
