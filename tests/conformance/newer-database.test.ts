import { describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import { sqliteMigrations } from '../../src/storage/migrations/sqlite/index.ts';
import { NewerDatabaseError } from '../../src/storage/errors.ts';
import { storeForEachTest, STORES } from './backends.ts';

describe.each(STORES)('a database on $name that a newer version has migrated', ({ create }) => {
  const { store } = storeForEachTest(create);

  test('is refused in one line that names the migration', async () => {
    const run = (statement: ReturnType<typeof sql>) => statement.execute(store.storage.fork(EVERYTHING).getKysely());
    expect(store.storage.migrated).toEqual(sqliteMigrations.map(({ name }) => name));
    await run(sql`insert into mikro_orm_migrations (name) values ('9999-of-the-future')`);
    const refusal = await store.reopen().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(NewerDatabaseError);
    expect((refusal as Error).message).toMatch(/^[^\n]*"9999-of-the-future"[^\n]*$/u);
  });
});
