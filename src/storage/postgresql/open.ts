import { setTimeout as delay } from 'node:timers/promises';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import { type DatabaseConnection, type Kysely, sql } from 'kysely';
import type { Vault } from '../../core/vault.ts';
import { assembleStorage, kyselyOf } from '../assemble.ts';
import { migrateUp } from '../errors.ts';
import { GroupCommit } from '../group-commit.ts';
import { postgresqlMigrations } from '../migrations/postgresql/index.ts';
import { COMMON_OPTIONS, type PostgresqlOptions, type Storage, type StorageOverrides } from '../storage.ts';
import { sealWhatIsPlain } from '../sealing.ts';
import type { Answer, Transact } from '../typed-statement.ts';
import { PostgresqlNotifier } from './notifier.ts';
import { CLEANING, POSTGRESQL_STATEMENTS } from './statements.ts';
import { connectionSettings, toServerError, preferIndexes } from './connection.ts';

const CONNECTIONS_MAX = 10;
const CONNECT_TIMEOUT_MS = 5_000;
/** The server works on one batch while another is on its way. */
const COMMITS_UNDER_WAY_MAX = 2;

/** Unsealed secrets of earlier versions would otherwise stay readable in the tables' files. */
async function erase(database: Kysely<unknown>): Promise<boolean> {
  await sql`vacuum full account, destination`.execute(database);
  return true;
}

/** Without a time limit for statements: migrations may work on whole tables, or wait for another process's migrations. */
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
  const database = kyselyOf(orm.em);
  const transact = transactOn(database);
  return assembleStorage({
    em: orm.em,
    readingEm: orm.em,
    vault,
    statements: POSTGRESQL_STATEMENTS,
    cleaningStatements: CLEANING,
    transact,
    // One for each kind: each kind is one statement and its own transaction, and does not wait for another.
    groupCommit: () => new GroupCommit({ transact, underWayMax: COMMITS_UNDER_WAY_MAX, blamesItems }),
    notifier: new PostgresqlNotifier(database, options.listenUrl ?? options.url),
    isSoleOwner: false,
    // Never: lost connections are replaced.
    died: new Promise(() => {}),
    migrated,
    close: () => orm.close(),
  });
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

/** A single statement is its own transaction; sent alone it takes one round trip instead of three. */
function transactOn(database: Kysely<unknown>): Transact {
  return async (statements) => {
    const [only] = statements;
    if (only !== undefined && statements.length === 1) {
      return [(await only.execute(database)).rows];
    }
    return database.transaction().execute(async (transaction) => {
      const results: Answer[] = [];
      for (const statement of statements) {
        results.push((await statement.execute(transaction)).rows);
      }
      return results;
    });
  };
}

/**
 * PostgreSQL's classes of codes for data, constraints, cardinality and limits (22, 23, 21, 54). TypeError and RangeError
 * are our own code's. Other errors concern the server, or other transactions' locks.
 */
const FAULT_OF_VALUES = /^(?:2[123]|54)[0-9A-Z]{3}$/u;

function blamesItems(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return error instanceof TypeError || error instanceof RangeError || FAULT_OF_VALUES.test(String(code));
}

/** Arbitrary. Nothing else in the database may use the same number. */
const LOCK_KEY = 7_238_116_402;
const RETRY_LOCK_MS = 200;

/**
 * Processes that start at the same time take turns: the first migrates, the others find nothing to do. The lock belongs
 * to a transaction: behind PgBouncer, the lock of a session would stay with a connection that another client gets next.
 * A process without the lock holds no connection while it waits, because there may be fewer connections than processes.
 */
async function migrateAlone(
  orm: MikroORM,
  complete: (database: Kysely<unknown>) => Promise<void>,
): Promise<readonly string[]> {
  const database = kyselyOf(orm.em);
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
    await delay(RETRY_LOCK_MS);
  }
}

async function hasLock(transaction: Kysely<unknown>): Promise<boolean> {
  // This transaction is idle while the migrations run on other connections.
  await sql`set local idle_in_transaction_session_timeout = 0`.execute(transaction);
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(${LOCK_KEY}::bigint) as locked`.execute(transaction);
  return rows[0]?.locked === true;
}
