import { Migrator } from '@mikro-orm/migrations';
import { defineConfig } from '@mikro-orm/sqlite';
import { Account, Attempt, Delivery, Destination, Event } from './entities/index.ts';
import { sqliteMigrations } from './migrations/sqlite/index.ts';
import { ThreadedConnection } from './sqlite/connection.ts';
import { threadedSqliteDialect } from './sqlite/dialect.ts';

/** Where the data is. */
export interface DatabaseOptions {
  readonly type: 'sqlite';
  /** A file path, or `:memory:`. */
  readonly path: string;
}

/** MikroORM's options: classes are listed, never discovered by file name, so that every loader sees the same. */
export function ormOptions(database: DatabaseOptions, connection = () => new ThreadedConnection(database.path)) {
  return defineConfig({
    dbName: database.path,
    entities: [Account, Destination, Event, Delivery, Attempt],
    extensions: [Migrator],
    migrations: { migrationsList: sqliteMigrations, snapshot: false, silent: true },
    driverOptions: () => threadedSqliteDialect(connection()),
    forceUtcTimezone: true,
  });
}
