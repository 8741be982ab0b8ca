import { defineConfig, MikroORM } from '@mikro-orm/sqlite';
import type { Vault } from '../../core/vault.ts';
import type { Scope } from '../../core/scope.ts';
import { type Clock, steadyClock } from '../../core/clock.ts';
import { Cleaning } from '../cleaning.ts';
import { DeliveryStore } from '../delivery-store.ts';
import { GroupCommit, type Statement, type Transact } from '../group-commit.ts';
import { EventStore, eventWrites } from '../event-store.ts';
import { explainFileError, migrateUp } from '../errors.ts';
import { sqliteMigrations } from '../migrations/sqlite/index.ts';
import { COMMON_OPTIONS, isUp, type SqliteOptions, type Storage, type StorageOverrides } from '../storage.ts';
import { UNMETERED } from '../read-models/reading.ts';
import { createReads } from '../read-models/reads.ts';
import { withScope } from '../scope.ts';
import { sealWhatIsPlain } from '../sealing.ts';
import { CLEANING, sqliteStatements } from './statements.ts';
import { type StoreEvents, ThreadedConnection } from './connection.ts';
import { erase, requireRoomToErase } from './erase.ts';
import { ReadingConnection, threadedSqliteDialect } from './dialect.ts';
import { becomeSoleOwner } from './file.ts';

export function sqliteOptions(
  { path }: SqliteOptions,
  connection: () => ThreadedConnection | ReadingConnection = () => new ThreadedConnection(path),
) {
  return defineConfig({
    ...COMMON_OPTIONS,
    dbName: path,
    migrations: { migrationsList: sqliteMigrations, snapshot: false, silent: true },
    driverOptions: () => threadedSqliteDialect(connection()),
  });
}

/** @throws DatabaseInUseError, DatabaseFileError, NewerDatabaseError, VaultError */
export async function openSqlite(
  options: SqliteOptions,
  vault: Vault,
  { observe, clock = steadyClock }: StorageOverrides,
): Promise<Storage> {
  let giveUp: (() => void) | undefined;
  let orm: MikroORM | undefined;
  let reader: MikroORM | undefined;
  const close = async (): Promise<void> => {
    // The last to close the file empties the write-ahead log, for which it has to be able to write.
    await reader?.close();
    await orm?.close();
    giveUp?.();
  };
  try {
    giveUp = becomeSoleOwner(options.path);
    const connection = new ThreadedConnection(options.path);
    const observing = observe && { debug: ['query' as const], logger: observe, colors: false };
    orm = await MikroORM.init({ ...sqliteOptions(options, () => connection), ...observing });
    const database = orm.em.getDriver().getConnection().getClient<unknown>();
    await requireRoomToErase(database, options.path);
    const migrated = await migrateUp(orm.migrator, sqliteMigrations);
    await sealWhatIsPlain(database, vault, () => erase(database, options.path));
    if (options.path !== ':memory:') {
      const reading = new ReadingConnection(options.path);
      reader = await MikroORM.init({ ...sqliteOptions(options, () => reading), ...observing });
    }
    return { ...assemble({ orm, reader: reader ?? orm, connection, vault, clock }), close, migrated };
  } catch (error) {
    await close();
    throw explainFileError(options.path, error);
  }
}

interface Parts {
  readonly orm: MikroORM;
  /** For what requests read; the same where the database is in memory, which has one connection. */
  readonly reader: MikroORM;
  readonly connection: ThreadedConnection;
  readonly vault: Vault;
  readonly clock: Clock;
}

function assemble({ orm, reader, connection, vault, clock }: Parts): Omit<Storage, 'migrated' | 'close'> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  const statements = sqliteStatements(clock);
  const plain = (statement: Statement) => {
    const { sql, parameters } = statement.compile(database);
    return { sql, parameters };
  };
  const transact: Transact = (list) => connection.transact(list.map(plain));
  // One for all kinds: there is one writer, and what shares a commit shares its price.
  const commits = new GroupCommit<Statement | StoreEvents>({
    transact: (steps) => connection.transact(steps.map((step) => ('procedure' in step ? step : plain(step)))),
    underWayMax: 1,
    blamesItems,
  });
  const fork = (scope: Scope) => withScope(orm.em.fork(), scope);
  return {
    vault,
    events: new EventStore(eventWrites(commits, statements), database),
    deliveries: new DeliveryStore(
      { claims: commits, laneClaims: commits, records: commits, releases: commits },
      { database, vault, statements },
    ),
    cleaning: new Cleaning({ database, transact, statements: CLEANING }),
    isSoleOwner: true,
    notifier: undefined,
    fork,
    reads: (scope, meter = UNMETERED) => createReads(withScope(reader.em.fork(), scope), statements, scope, meter),
    isUp: () => isUp(database),
    died: connection.died,
  };
}

/** What SQLite says of values, and errors of our own. Anything else speaks of the file or the disk. */
const FAULT_OF_VALUES = /^SQLITE_(?:CONSTRAINT|MISMATCH|RANGE|TOOBIG)/u;

function blamesItems(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return error instanceof TypeError || error instanceof RangeError || FAULT_OF_VALUES.test(String(code));
}
