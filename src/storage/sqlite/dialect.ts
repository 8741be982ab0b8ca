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

/** One connection; the adapter says so, and Kysely lets its users take turns. */
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
    // There is only one, and it stays.
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

/** Every statement of the read models ends long before: how many rows it may touch is bounded. */
const STATEMENT_MAX_MS = 2_000;

/**
 * A second connection to a file, for reading only, in a thread of its own: whatever is read holds up no commit. SQLite
 * cannot be interrupted from another thread, so that a statement that takes too long is left behind with its
 * thread, which ends when the statement does; whoever comes next gets a new one.
 */
export class ReadingConnection implements DatabaseConnection {
  readonly #path: string;
  readonly #statementMaxMs: number;
  /** Opened by the first statement: commands that only write need none. */
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

  /** A new thread may take its time to begin, which is not the statement's. */
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
