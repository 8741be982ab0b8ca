import { Migrator } from '@mikro-orm/migrations';
import type { EntityManager } from '@mikro-orm/sql';
import type { Clock } from '../core/clock.ts';
import type { Notifier } from '../core/notifier.ts';
import type { Scope } from '../core/scope.ts';
import type { Vault } from '../core/vault.ts';
import type { Cleaning } from './cleaning.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { EventStore } from './event-store.ts';
import type { Meter } from './read-models/reading.ts';
import type { Reads } from './read-models/reads.ts';
import {
  Account,
  Attempt,
  Delivery,
  Destination,
  DestinationRate,
  Event,
  QueuedDelivery,
  RemovedRoute,
  Setting,
} from './entities.ts';

export type { EntityManager };

/** The database, opened and migrated. */
export interface Storage {
  /** The names of the migrations that were applied when it was opened. */
  readonly migrated: readonly string[];
  /** Has the keys of this database. */
  readonly vault: Vault;
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  /** Removes the rows of deleted accounts and destinations. */
  readonly cleaning: Cleaning;
  /** No other process can hold leases on this database. */
  readonly isSoleOwner: boolean;
  /** Reaches the other processes of a shared database. */
  readonly notifier: Notifier | undefined;
  /** A unit of work of its own, for one command. */
  readonly fork: (scope: Scope) => EntityManager;
  /** For one request. */
  readonly reads: (scope: Scope, meter?: Meter) => Reads;
  /** True if the database answers. */
  readonly isUp: () => Promise<boolean>;
  /** Resolves when this process has lost its database for good, with the reason in one line. */
  readonly died: Promise<Error>;
  close(): Promise<void>;
}

/** Sees every SQL statement of the mapper; for tests that count them. */
export type StatementObserver = (statement: string) => void;

/** For tests. */
export interface StorageOverrides {
  readonly observe?: StatementObserver | undefined;
  /** For SQLite only. PostgreSQL has its own time. */
  readonly clock?: Clock | undefined;
}

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
  /** Where to listen, if `url` is that of a pooler that assigns connections for a transaction only. */
  readonly listenUrl?: string;
  /** No time limit, for a command whose statements may work on whole tables. */
  readonly isUnhurried?: boolean;
}

/** For both databases. Entities are listed, because discovery by file name differs between loaders. */
export const COMMON_OPTIONS = {
  entities: [Account, Destination, Event, Delivery, Attempt, QueuedDelivery, DestinationRate, RemovedRoute, Setting],
  extensions: [Migrator],
  forceUtcTimezone: true,
  // The row with the reference has passed the filters already.
  autoJoinRefsForFilters: false,
};
