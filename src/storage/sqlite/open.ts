import { defineConfig, MikroORM } from '@mikro-orm/sqlite';
import type { Kysely } from 'kysely';
import type { Vault } from '../../core/vault.ts';
import { steadyClock } from '../../core/clock.ts';
import { assembleStorage, kyselyOf } from '../assemble.ts';
import { GroupCommit } from '../group-commit.ts';
import type { Query, Transact } from '../typed-statement.ts';
import { toFileError, migrateUp } from '../errors.ts';
import { sqliteMigrations } from '../migrations/sqlite/index.ts';
import { COMMON_OPTIONS, type SqliteOptions, type Storage, type StorageOverrides } from '../storage.ts';
import { sealWhatIsPlain } from '../sealing.ts';
import { CLEANING, sqliteStatements } from './statements.ts';
import { type Step, type StoreEvents, ThreadedConnection } from './connection.ts';
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
    // The last connection to close empties the write-ahead log, and so must be able to write.
    await reader?.close();
    await orm?.close();
    giveUp?.();
  };
  try {
    giveUp = becomeSoleOwner(options.path);
    const connection = new ThreadedConnection(options.path);
    const observing = observe && { debug: ['query' as const], logger: observe, colors: false };
    orm = await MikroORM.init({ ...sqliteOptions(options, () => connection), ...observing });
    const database = kyselyOf(orm.em);
    await requireRoomToErase(database, options.path);
    const migrated = await migrateUp(orm.migrator, sqliteMigrations);
    await sealWhatIsPlain(database, vault, () => erase(database, options.path));
    if (options.path !== ':memory:') {
      const reading = new ReadingConnection(options.path);
      reader = await MikroORM.init({ ...sqliteOptions(options, () => reading), ...observing });
    }
    const statements = sqliteStatements(clock);
    const transact: Transact<StoreEvents> = (queries) =>
      connection.transact(queries.map((query) => toStep(query, database)));
    // One for all kinds: there is one writer, and a commit costs the same for all that share it.
    const commits = new GroupCommit<StoreEvents>({ transact, underWayMax: 1, blamesItems });
    return assembleStorage({
      em: orm.em,
      readingEm: (reader ?? orm).em,
      vault,
      statements,
      cleaningStatements: CLEANING,
      transact,
      groupCommit: () => commits,
      notifier: undefined,
      isSoleOwner: true,
      died: connection.died,
      migrated,
      close,
    });
  } catch (error) {
    await close();
    throw toFileError(options.path, error);
  }
}

/** Copies only what the thread needs: a compiled query also has its syntax tree. */
function toStep(query: Query<StoreEvents>, database: Kysely<unknown>): Step {
  if ('procedure' in query) {
    return query;
  }
  const { sql, parameters } = query.compile(database);
  return { sql, parameters };
}

/** SQLite's codes for bad values. TypeError and RangeError are our own code's. Other errors concern the file or the disk. */
const FAULT_OF_VALUES = /^SQLITE_(?:CONSTRAINT|MISMATCH|RANGE|TOOBIG)/u;

function blamesItems(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return error instanceof TypeError || error instanceof RangeError || FAULT_OF_VALUES.test(String(code));
}
