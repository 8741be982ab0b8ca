import { CompiledQuery, type DatabaseConnection, type QueryResult } from 'kysely';
import { SqliteError, ThreadedConnection } from './connection.ts';

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
