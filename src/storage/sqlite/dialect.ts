import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { SqliteError, ThreadedConnection } from './connection.ts';

interface OneConnection extends DatabaseConnection {
  close(): Promise<void>;
}

/** Kysely's SQLite dialect, over a connection that lives in a thread of its own. */
export function threadedSqliteDialect(connection: OneConnection): Dialect {
  return {
    createDriver: () => new ThreadedSqliteDriver(connection),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (database) => new SqliteIntrospector(database),
  };
}

/** There is one connection. The adapter tells Kysely, which makes its users take turns. */
class ThreadedSqliteDriver implements Driver {
  readonly #connection: OneConnection;

  constructor(connection: OneConnection) {
    this.#connection = connection;
  }

  async init(): Promise<void> {
    // The thread opens the file while it starts.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    // The only connection stays open.
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await run(connection, 'begin immediate');
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await run(connection, 'commit');
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await run(connection, 'rollback');
  }

  async savepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await run(connection, `savepoint ${quote(name)}`);
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await run(connection, `rollback to ${quote(name)}`);
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await run(connection, `release ${quote(name)}`);
  }

  async destroy(): Promise<void> {
    await this.#connection.close();
  }
}

async function run(connection: DatabaseConnection, sql: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(sql));
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Statements of the read models take far less: the rows that each may touch are bounded. */
const STATEMENT_MAX_MS = 2_000;

/**
 * A second connection to a file, for reading only, in a thread of its own: reads do not delay commits. Another thread
 * cannot interrupt SQLite. So a statement that takes too long is abandoned with its thread, which ends when the statement
 * does. The next statement starts a new thread.
 */
export class ReadingConnection implements DatabaseConnection {
  readonly #path: string;
  readonly #statementMaxMs: number;
  /** The first statement opens it. Commands that only write need none. */
  #connection: Promise<ThreadedConnection> | undefined;

  constructor(path: string, statementMaxMs = STATEMENT_MAX_MS) {
    this.#path = path;
    this.#statementMaxMs = statementMaxMs;
  }

  /** @throws SqliteError with the code SQLITE_INTERRUPT when it takes too long */
  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.#connection ??= this.#open();
    const connection = await this.#connection;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new SqliteError('The statement has taken too long.', 'SQLITE_INTERRUPT'));
        this.#connection = undefined;
        connection.abandon();
      }, this.#statementMaxMs);
    });
    try {
      return await Promise.race([connection.executeQuery<Row>(query), tooLong]);
    } finally {
      clearTimeout(timer);
    }
  }

  streamQuery(): never {
    throw new Error('The SQLite connection does not stream; read in pages.');
  }

  async close(): Promise<void> {
    await (await this.#connection)?.close();
  }

  /** The start of a thread may be slow, and does not count as time of the statement. */
  async #open(): Promise<ThreadedConnection> {
    const connection = new ThreadedConnection(this.#path, { isForReading: true });
    const forget = (): void => {
      this.#connection = undefined;
    };
    void connection.died.then(forget);
    await connection.executeQuery(CompiledQuery.raw('select 1')).catch((error: unknown) => {
      forget();
      throw error;
    });
    return connection;
  }
}
