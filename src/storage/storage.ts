import type { SqlEntityManager } from '@mikro-orm/sqlite';
import { Migrator } from '@mikro-orm/migrations';
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { Vault } from '../core/vault.ts';
import type { Scope } from '../core/scope.ts';
import type { Cleaning } from './cleaning.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { EventStore } from './event-store.ts';
import type { PostgresqlNotifier } from './postgresql/notifier.ts';
import type { Meter } from './read-models/reading.ts';
import type { Reads } from './read-models/reads.ts';
import { Account, Attempt, Delivery, Destination, Event, QueuedDelivery, Setting } from './entities.ts';

export type EntityManager = SqlEntityManager;

/** The database, opened and migrated. */
export interface Storage {
  /** The names of the migrations that opening it has applied. */
  readonly migrated: readonly string[];
  /** Opens what this database has sealed. */
  readonly vault: Vault;
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  /** Removes what deleted accounts and destinations have left. */
  readonly cleaning: Cleaning;
  /** No other process can hold leases on this database. */
  readonly isSoleOwner: boolean;
  /** Rings in the other processes of a database that is shared. */
  readonly notifier: PostgresqlNotifier | undefined;
  /** A unit of work of its own, for one command. */
  readonly fork: (scope: Scope) => EntityManager;
  /** For one request. */
  readonly reads: (scope: Scope, meter?: Meter) => Reads;
  /** Whether the database answers. */
  readonly isUp: () => Promise<boolean>;
  /** Resolves when the store is lost to this process for good, with the reason in one line. */
  readonly died: Promise<Error>;
  close(): Promise<void>;
}

/** Sees every SQL statement of the mapper; for tests that count them. */
export type StatementObserver = (statement: string) => void;

/** What tests put in the place of the real thing. */
export interface StorageOverrides {
  readonly observe?: StatementObserver | undefined;
  /** What SQLite goes by, which has no time of its own; PostgreSQL has. */
  readonly clock?: Clock | undefined;
}

/**
 * Loads the code of the database that is asked for, and no other's.
 *
 * @throws DatabaseInUseError, DatabaseFileError, DatabaseServerError, NewerDatabaseError, VaultError
 */
export async function openStorage(
  options: DatabaseOptions,
  vault: Vault,
  overrides: StorageOverrides = {},
): Promise<Storage> {
  if (options.type === 'sqlite') {
    const { openSqlite } = await import('./sqlite/open.ts');
    return openSqlite(options, vault, overrides);
  }
  const { openPostgresql } = await import('./postgresql/open.ts');
  return openPostgresql(options, vault, overrides);
}

/** The same for a command that is run by hand, whose statements may be at work on whole tables. */
export function openStorageForCommand(options: DatabaseOptions, vault: Vault): Promise<Storage> {
  return openStorage(options.type === 'sqlite' ? options : { ...options, isUnhurried: true }, vault);
}

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

/** Whether the database answers. */
export async function isUp(database: Kysely<unknown>): Promise<boolean> {
  return sql`select 1`.execute(database).then(
    () => true,
    () => false,
  );
}
