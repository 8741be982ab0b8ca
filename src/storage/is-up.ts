import { type Kysely, sql } from 'kysely';

/** Whether the database answers. */
export async function isUp(database: Kysely<unknown>): Promise<boolean> {
  return sql`select 1`.execute(database).then(
    () => true,
    () => false,
  );
}
