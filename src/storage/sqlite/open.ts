import { defineConfig, MikroORM } from '@mikro-orm/sqlite';
import { sql } from 'kysely';
import type { Vault } from '../../core/vault.ts';
import type { Scope } from '../../core/scope.ts';
import { CommitLine } from '../commit-line.ts';
import { DeliveryStore } from '../delivery-store.ts';
import { EventStore } from '../event-store.ts';
import { explainFileError } from '../file-error.ts';
import { sqliteMigrations } from '../migrations/sqlite/index.ts';
import { migrateUp } from '../newer-database.ts';
import { isUp } from '../is-up.ts';
import { COMMON_OPTIONS, type SqliteOptions } from '../orm.ts';
import { createReads } from '../read-models/reads.ts';
import { withScope } from '../scope-filter.ts';
import { sealWhatIsPlain } from '../sealing.ts';
import type { StatementObserver, Storage } from '../storage.ts';
import { ThreadedConnection } from './connection.ts';
import { threadedSqliteDialect } from './dialect.ts';
import { becomeSoleOwner } from './sole-owner.ts';
import { SQLITE_STATEMENTS } from './statements.ts';

/** What was plain would otherwise stay readable in free pages and in the log. */
const ERASE = [sql`vacuum`, sql`pragma wal_checkpoint(truncate)`];

export function sqliteOptions({ path }: SqliteOptions, connection = () => new ThreadedConnection(path)) {
  return defineConfig({
    ...COMMON_OPTIONS,
    dbName: path,
    migrations: { migrationsList: sqliteMigrations, snapshot: false, silent: true },
    driverOptions: () => threadedSqliteDialect(connection()),
  });
}

/** @throws DatabaseInUseError, DatabaseFileError, NewerDatabaseError, VaultError */
export async function openSqlite(options: SqliteOptions, vault: Vault, observe?: StatementObserver): Promise<Storage> {
  let giveUp: (() => void) | undefined;
  let orm: MikroORM | undefined;
  const close = async (): Promise<void> => {
    await orm?.close();
    giveUp?.();
  };
  try {
    giveUp = becomeSoleOwner(options.path);
    const connection = new ThreadedConnection(options.path);
    orm = await MikroORM.init({
      ...sqliteOptions(options, () => connection),
      ...(observe && { debug: ['query'], logger: observe, colors: false }),
    });
    const migrated = await migrateUp(orm.migrator, sqliteMigrations);
    await sealWhatIsPlain(orm.em.getDriver().getConnection().getClient<unknown>(), vault, ERASE);
    return { ...assemble(orm, connection, vault, close), migrated };
  } catch (error) {
    await close();
    throw explainFileError(options.path, error);
  }
}

function assemble(
  orm: MikroORM,
  connection: ThreadedConnection,
  vault: Vault,
  close: () => Promise<void>,
): Omit<Storage, 'migrated'> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  // One line for all kinds: there is one writer, and what shares a commit shares its price.
  const line = new CommitLine((statements) =>
    // Kysely hands the connection out in turns; holding it, no transaction of MikroORM's can be open on it.
    database.connection().execute(() => connection.transact(statements.map((one) => one.compile(database)))),
  );
  const fork = (scope: Scope) => withScope(orm.em.fork(), scope);
  return {
    vault,
    events: new EventStore(line, database, SQLITE_STATEMENTS),
    deliveries: new DeliveryStore({ claims: line, records: line }, { database, vault, statements: SQLITE_STATEMENTS }),
    isSoleOwner: true,
    bell: undefined,
    fork,
    reads: (scope) => createReads(fork(scope), SQLITE_STATEMENTS, scope),
    isUp: () => isUp(database),
    close,
  };
}
