import { setTimeout as delay } from 'node:timers/promises';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import { type DatabaseConnection, type Kysely, sql } from 'kysely';
import type { Vault } from '../../core/vault.ts';
import type { Scope } from '../../core/scope.ts';
import { Cleaning } from '../cleaning.ts';
import { DeliveryStore } from '../delivery-store.ts';
import { EventStore, eventWrites } from '../event-store.ts';
import { GroupCommit, type Transact } from '../group-commit.ts';
import { postgresqlMigrations } from '../migrations/postgresql/index.ts';
import { COMMON_OPTIONS, isUp, type PostgresqlOptions, type Storage, type StorageOverrides } from '../storage.ts';
import { UNMETERED } from '../read-models/reading.ts';
import { createReads } from '../read-models/reads.ts';
import { withScope } from '../scope.ts';
import { sealWhatIsPlain } from '../sealing.ts';
import { PostgresqlNotifier } from './notifier.ts';
import { CLEANING, POSTGRESQL_STATEMENTS } from './statements.ts';
import { connectionSettings, toServerError, preferIndexes } from './connection.ts';
import { migrateUp } from '../errors.ts';

const CONNECTIONS_MAX = 10;
const CONNECT_TIMEOUT_MS = 5_000;
/** While one batch is on its way to the server, the server works on the other. */
const COMMITS_UNDER_WAY_MAX = 2;

/** What was plain would otherwise stay readable in the tables' files. */
async function erase(database: Kysely<unknown>): Promise<boolean> {
  await sql`vacuum full account, destination`.execute(database);
  return true;
}

/** Without a time limit for statements: migrations may be at work on whole tables, or wait for those of another process. */
export function postgresqlOptions({ url }: PostgresqlOptions) {
  return defineConfig({
    ...COMMON_OPTIONS,
    clientUrl: url,
    migrations: { migrationsList: postgresqlMigrations, snapshot: false, silent: true },
    pool: { min: 0, max: CONNECTIONS_MAX },
    driverOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'data-pusher',
    },
  });
}

/** @throws DatabaseServerError, NewerDatabaseError, VaultError */
export async function openPostgresql(
  options: PostgresqlOptions,
  vault: Vault,
  { observe }: StorageOverrides,
): Promise<Storage> {
  const { timeLimits, isDirect } = await connectionSettings(options.url);
  const migrated = await migrate(options, vault);
  const { driverOptions, ...common } = postgresqlOptions(options);
  const orm = await MikroORM.init({
    ...common,
    driverOptions: { ...driverOptions, ...(options.isUnhurried !== true && timeLimits) },
    ...(isDirect && { onCreateConnection: (connection) => preferIndexes(connection as DatabaseConnection) }),
    ...(observe && { debug: ['query'], logger: observe, colors: false }),
  });
  return { ...assemble(orm, options.listenUrl ?? options.url, vault), migrated };
}

async function migrate(options: PostgresqlOptions, vault: Vault): Promise<readonly string[]> {
  const orm = await MikroORM.init(postgresqlOptions(options));
  try {
    return await migrateAlone(orm, (database) => sealWhatIsPlain(database, vault, erase));
  } catch (error) {
    throw toServerError(error);
  } finally {
    await orm.close(true);
  }
}

function assemble(orm: MikroORM, listenUrl: string, vault: Vault): Omit<Storage, 'migrated'> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  const transact = transactOn(database);
  // One for each kind: on this database each is one statement and its own transaction, and none waits for another.
  const commits = () => new GroupCommit({ transact, underWayMax: COMMITS_UNDER_WAY_MAX, blamesItems });
  const fork = (scope: Scope) => withScope(orm.em.fork(), scope);
  return {
    vault,
    events: new EventStore(eventWrites(commits(), POSTGRESQL_STATEMENTS), database),
    deliveries: new DeliveryStore(
      { claims: commits(), laneClaims: commits(), records: commits(), releases: commits() },
      { database, vault, statements: POSTGRESQL_STATEMENTS },
    ),
    cleaning: new Cleaning({ database, transact, statements: CLEANING }),
    isSoleOwner: false,
    notifier: new PostgresqlNotifier(database, listenUrl),
    fork,
    reads: (scope, meter = UNMETERED) => createReads(fork(scope), POSTGRESQL_STATEMENTS, scope, meter),
    isUp: () => isUp(database),
    // Connections are made anew.
    died: new Promise(() => {}),
    close: () => orm.close(),
  };
}

/** A single statement is its own transaction; sent alone it takes one round trip instead of three. */
function transactOn(database: Kysely<unknown>): Transact {
  return async (statements) => {
    const [only] = statements;
    if (only !== undefined && statements.length === 1) {
      return [(await only.execute(database)).rows];
    }
    return database.transaction().execute(async (transaction) => {
      const results: (readonly unknown[])[] = [];
      for (const statement of statements) {
        results.push((await statement.execute(transaction)).rows);
      }
      return results;
    });
  };
}

/**
 * PostgreSQL's classes of codes for data, constraints, cardinality and limits (22, 23, 21, 54), and errors of our
 * own. Anything else speaks of the server, or of others' locks.
 */
const FAULT_OF_VALUES = /^(?:2[123]|54)[0-9A-Z]{3}$/u;

function blamesItems(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return error instanceof TypeError || error instanceof RangeError || FAULT_OF_VALUES.test(String(code));
}

/** Any number will do, as long as nothing else in the database uses the same. */
const LOCK_KEY = 7_238_116_402;
const LOOK_AGAIN_MS = 200;

/**
 * Processes that start at the same time take turns: the first migrates, the others find nothing to do. The lock is
 * that of a transaction, because behind PgBouncer one of a session stays with a connection that somebody else gets
 * next. Who does not get it asks again, and holds no connection meanwhile: there may be fewer than processes.
 */
async function migrateAlone(
  orm: MikroORM,
  complete: (database: Kysely<unknown>) => Promise<void>,
): Promise<readonly string[]> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  for (;;) {
    const migrated = await database.transaction().execute(async (transaction) => {
      if (await hasLock(transaction)) {
        const names = await migrateUp(orm.migrator, postgresqlMigrations);
        await complete(database);
        return names;
      }
      return undefined;
    });
    if (migrated !== undefined) {
      return migrated;
    }
    await delay(LOOK_AGAIN_MS);
  }
}

async function hasLock(transaction: Kysely<unknown>): Promise<boolean> {
  // It waits for what is done by other connections.
  await sql`set local idle_in_transaction_session_timeout = 0`.execute(transaction);
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(${LOCK_KEY}::bigint) as locked`.execute(transaction);
  return rows[0]?.locked === true;
}
