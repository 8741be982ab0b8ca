import type { MikroORM } from '@mikro-orm/postgresql';
import { type Kysely, sql } from 'kysely';
import { postgresqlMigrations } from '../migrations/postgresql/index.ts';
import { migrateUp } from '../newer-database.ts';

/** Any number will do, as long as nothing else in the database uses the same. */
const LOCK_KEY = 7_238_116_402;

/** Processes that start at the same time take turns: the first migrates, the others find nothing to do. */
export async function migrateAlone(
  orm: MikroORM,
  complete: (database: Kysely<unknown>) => Promise<void>,
): Promise<readonly string[]> {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  return database.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${LOCK_KEY}::bigint)`.execute(connection);
    try {
      const migrated = await migrateUp(orm.migrator, postgresqlMigrations);
      await complete(database);
      return migrated;
    } finally {
      await sql`select pg_advisory_unlock(${LOCK_KEY}::bigint)`.execute(connection);
    }
  });
}
