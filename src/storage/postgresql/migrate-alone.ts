import { setTimeout as delay } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { type Kysely, sql } from 'kysely';
import { postgresqlMigrations } from '../migrations/postgresql/index.ts';
import { migrateUp } from '../newer-database.ts';

/** Any number will do, as long as nothing else in the database uses the same. */
const LOCK_KEY = 7_238_116_402;
const LOOK_AGAIN_MS = 200;

/**
 * Processes that start at the same time take turns: the first migrates, the others find nothing to do. The lock is
 * that of a transaction, because behind PgBouncer one of a session stays with a connection that somebody else gets
 * next. Who does not get it asks again, and holds no connection meanwhile: there may be fewer than processes.
 */
export async function migrateAlone(
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
