import type { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { postgresqlMigrations } from '../migrations/postgresql/index.ts';
import { migrateUp } from '../newer-database.ts';

/** Any number will do, as long as nothing else in the database uses the same. */
const LOCK_KEY = 7_238_116_402;

/** Processes that start at the same time take turns: the first migrates, the others find nothing to do. */
export async function migrateAlone(orm: MikroORM): Promise<readonly string[]> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  return database.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${LOCK_KEY}::bigint)`.execute(connection);
    try {
      return await migrateUp(orm.migrator, postgresqlMigrations);
    } finally {
      await sql`select pg_advisory_unlock(${LOCK_KEY}::bigint)`.execute(connection);
    }
  });
}
