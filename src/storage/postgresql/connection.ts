import { CompiledQuery, type DatabaseConnection } from 'kysely';
import { Client } from 'pg';

/** A frozen server would otherwise hang a query, and all that wait behind it, for ever. */
const QUERY_TIMEOUT_MS = 5_000;
/** Sooner, so that a server that is only slow gives the work up too: nobody waits for its result any more. */
const STATEMENT_TIMEOUT_MS = 4_500;
const CONNECT_TIMEOUT_MS = 5_000;

const DIRECT = { query_timeout: QUERY_TIMEOUT_MS, statement_timeout: STATEMENT_TIMEOUT_MS };
/**
 * The planner knows tables by statistics that are a minute old. One that says that nothing is pending makes it
 * read the whole backlog for a single row. Every statement of ours has an index that it can go by, in the order that
 * it needs; so nothing else is ever the better plan. What has no index is read and sorted all the same.
 */
const PLANNER_SETTINGS = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'jit'];
const LIMIT = [
  `set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
  ...PLANNER_SETTINGS.map((name) => `set local ${name} = off`),
].join('; ');
const BEGINS = /^(?:begin|start transaction)\b/iu;
const ENDS = /^(?:commit|rollback)$/iu;
const UNSUPPORTED_PARAMETER = /unsupported startup parameter/u;

export interface ConnectionSettings {
  /** For the driver: client and server give up a statement that is over its time. */
  readonly timeLimits: object;
  /** False where the settings of a connection would reach other programs behind the same pooler. */
  readonly isDirect: boolean;
}

/** @throws DatabaseServerError */
export async function connectionSettings(url: string): Promise<ConnectionSettings> {
  const isDirect = await keepsItsLimit(url);
  return { isDirect, timeLimits: isDirect ? DIRECT : { query_timeout: QUERY_TIMEOUT_MS, Client: PooledClient } };
}

/** Tells a new connection how to plan. Behind a pooler each transaction is told, with its time limit. */
export async function preferIndexes(connection: DatabaseConnection): Promise<void> {
  const list = PLANNER_SETTINGS.map((name) => `set_config('${name}', 'off', false)`).join(', ');
  await connection.executeQuery(CompiledQuery.raw(`select ${list}`));
}

/** PostgreSQL takes the limit of a connection when it is made. A pooler refuses it or, told to, passes over it. */
async function keepsItsLimit(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ...DIRECT });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ ms: string }>(
      `select setting as ms from pg_settings where name = 'statement_timeout'`,
    );
    return rows[0]?.ms === String(STATEMENT_TIMEOUT_MS);
  } catch (error) {
    if (error instanceof Error && UNSUPPORTED_PARAMETER.test(error.message)) {
      return false;
    }
    throw refusal(error as Error);
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * A connection to a pooler, behind which each transaction may go by another connection to the server: the limit is
 * told in each transaction, and a single statement is given one. That costs two round trips more. A request to
 * cancel would cost none, but ends PgBouncer 1.18 and 1.19.
 */
class PooledClient extends Client {
  #isInTransaction = false;

  // The package's overloads say what may be asked; what comes of it is all that matters here.
  override query(...parameters: unknown[]): never {
    return this.#limited(parameters) as never;
  }

  #limited(parameters: unknown[]): unknown {
    const [text] = parameters;
    if (typeof text !== 'string') {
      return this.#send(parameters);
    }
    if (BEGINS.test(text)) {
      this.#isInTransaction = true;
      return this.#send([`${text}; ${LIMIT}`]);
    }
    if (!this.#isInTransaction) {
      return this.#sendAlone(parameters);
    }
    this.#isInTransaction = !ENDS.test(text);
    return this.#send(parameters);
  }

  async #sendAlone(parameters: unknown[]): Promise<unknown> {
    const answers = await Promise.allSettled([
      this.#send([`begin; ${LIMIT}`]),
      this.#send(parameters),
      this.#send(['commit']),
    ]);
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed === undefined) {
      return (answers[1] as PromiseFulfilledResult<unknown>).value;
    }
    // Whatever the server still does must not become part of somebody else's transaction.
    if (!(typeof (failed.reason as { code?: unknown }).code === 'string')) {
      void this.end().catch(() => {});
    }
    throw failed.reason;
  }

  #send(parameters: unknown[]): Promise<unknown> {
    return super.query(...(parameters as [string]));
  }
}

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
export function toServerError(error: unknown): unknown {
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
