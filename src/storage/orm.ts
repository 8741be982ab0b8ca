import { Migrator } from '@mikro-orm/migrations';
import { Account, Attempt, Delivery, Destination, Event, QueuedDelivery, Setting } from './entities/index.ts';

/** Where the data is. */
export type DatabaseOptions = SqliteOptions | PostgresqlOptions;

export interface SqliteOptions {
  readonly type: 'sqlite';
  /** A file path, or `:memory:`. */
  readonly path: string;
}

export interface PostgresqlOptions {
  readonly type: 'postgresql';
  /** `postgresql://user:password@host:port/database` */
  readonly url: string;
  /** Where to listen, when the URL is that of a pooler that hands connections out by the transaction. */
  readonly listenUrl?: string;
  /** For a command whose statements may be at work on whole tables: no time limit. */
  readonly isUnhurried?: boolean;
}

/** What both databases share. Classes are listed, never discovered by file name, so that every loader sees the same. */
export const COMMON_OPTIONS = {
  entities: [Account, Destination, Event, Delivery, Attempt, QueuedDelivery, Setting],
  extensions: [Migrator],
  forceUtcTimezone: true,
  // A reference needs no look at its row: its own row has been through the filters.
  autoJoinRefsForFilters: false,
};

/** For MikroORM's command line. */
export async function ormOptions(database: DatabaseOptions) {
  return database.type === 'sqlite'
    ? (await import('./sqlite/open.ts')).sqliteOptions(database)
    : (await import('./postgresql/open.ts')).postgresqlOptions(database);
}
