import { CompiledQuery, type DatabaseConnection } from 'kysely';
import { Client } from 'pg';

/** Without it, a frozen server would block a query, and all queries behind it, for ever. */
const QUERY_TIMEOUT_MS = 5_000;
/** Lower, so that a slow server also stops the work, whose result nothing waits for any more. */
const STATEMENT_TIMEOUT_MS = 4_500;
const CONNECT_TIMEOUT_MS = 5_000;

const DIRECT = { query_timeout: QUERY_TIMEOUT_MS, statement_timeout: STATEMENT_TIMEOUT_MS };
/**
 * The planner's statistics are a minute old. If they say that nothing is pending, it reads the whole backlog for a single
 * row. Each of our statements has an index in the order that it needs, so no other plan is ever better. Columns without
 * an index are still read and sorted.
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
  /** Driver options: client and server stop a statement that exceeds its time. */
  readonly timeLimits: object;
  /** False behind a pooler, where the settings of a connection would affect other programs. */
  readonly isDirect: boolean;
}

/** @throws DatabaseServerError */
export async function connectionSettings(url: string): Promise<ConnectionSettings> {
  const isDirect = await keepsItsLimit(url);
  return { isDirect, timeLimits: isDirect ? DIRECT : { query_timeout: QUERY_TIMEOUT_MS, Client: PooledClient } };
}

/** Sets up the planner on a new connection. Behind a pooler, each transaction does that, together with its time limit. */
export async function preferIndexes(connection: DatabaseConnection): Promise<void> {
  const list = PLANNER_SETTINGS.map((name) => `set_config('${name}', 'off', false)`).join(', ');
  await connection.executeQuery(CompiledQuery.raw(`select ${list}`));
}

/** PostgreSQL accepts a time limit when a connection starts. A pooler refuses it, or ignores it if configured to. */
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
 * A connection to a pooler, which may send each transaction through another connection to the server. So each transaction
 * sets the limit, and a single statement gets a transaction. That costs two more round trips. A cancel request would cost
 * none, but crashes PgBouncer 1.18 and 1.19.
 */
class PooledClient extends Client {
  #isInTransaction = false;

  // The overloads of the package do not matter here: all calls are handled alike.
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
    // The server may still be in a transaction, which must not continue for another client of the pooler.
    if (typeof (failed.reason as { code?: unknown }).code !== 'string') {
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
 * PostgreSQL's classes of codes for a failed connection, a wrong user or password, a missing database, a lack of room or
 * connections, and a server that starts or stops.
 */
const SERVER_FAULT = /^(?:08|28|3D|53|57)[0-9A-Z]{3}$/u;
const INSUFFICIENT_PRIVILEGE = '42501';

/** @returns the error to throw instead of one that opening the database threw. */
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

/** For any error during a connection attempt. */
export function refusal(error: Error): DatabaseServerError {
  return new DatabaseServerError(`PostgreSQL refuses the connection of DATABASE_URL: ${reasonOf(error)}.`, {
    cause: error,
  });
}

/** For a name with several addresses, an error without a message contains theirs. The mapper prepends the statement. */
function reasonOf(error: Error): string {
  const { message } = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  return (message.split('\n').at(-1) ?? '').replace(/^.* - /u, '').replace(/\.$/u, '');
}
