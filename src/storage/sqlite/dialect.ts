import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';

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
