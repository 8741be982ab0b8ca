import { FILE_FAULT } from './file-error.ts';

/**
 * Connections that fail (08), a server that has no resources left (53), is being stopped or cancels what takes too
 * long (57), or fails itself (58); a lock that is not to be had, and a standby, which cannot be written.
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
 * Whether the database cannot be reached, does not answer in time, or cannot use its files: it is up to the operator,
 * and may be over in a minute. What a statement itself is to blame for is a fault of the program.
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

/** A name with several addresses fails with an error for each. */
function isOutageOfAny(error: Error): boolean {
  return error instanceof AggregateError && error.errors.some(isOutage);
}
