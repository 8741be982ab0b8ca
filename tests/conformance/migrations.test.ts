import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MikroORM as PostgresqlORM } from '@mikro-orm/postgresql';
import { MikroORM as SqliteORM } from '@mikro-orm/sqlite';
import { postgresqlMigrations } from '../../src/storage/migrations/postgresql/index.ts';
import { sqliteMigrations } from '../../src/storage/migrations/sqlite/index.ts';
import { postgresqlOptions } from '../../src/storage/postgresql/open.ts';
import { sqliteOptions } from '../../src/storage/sqlite/open.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';

type Orm = SqliteORM | PostgresqlORM;

interface Database {
  readonly name: string;
  open(): Promise<{ orm: Orm; close: () => Promise<void> }>;
}

const SQLITE: Database = {
  name: 'SQLite',
  async open() {
    const orm = await SqliteORM.init(sqliteOptions({ type: 'sqlite', path: ':memory:' }));
    return { orm, close: () => orm.close() };
  },
};

const POSTGRESQL: Database = {
  name: 'PostgreSQL',
  async open() {
    const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    const orm = await PostgresqlORM.init(postgresqlOptions({ type: 'postgresql', url }));
    const close = async (): Promise<void> => {
      await orm.close();
      await drop();
    };
    return { orm, close };
  },
};

describe.each(TEST_DATABASE_URL === undefined ? [SQLITE] : [SQLITE, POSTGRESQL])('migrations on $name', ({ open }) => {
  let orm: Orm;
  let close: () => Promise<void>;

  beforeEach(async () => {
    ({ orm, close } = await open());
  });
  afterEach(() => close());

  test('make exactly the schema that the entities describe', async () => {
    await orm.migrator.up();
    expect(await orm.schema.getUpdateSchemaSQL({ wrap: false })).toBe('');
  });

  test('are applied once', async () => {
    expect(await orm.migrator.up()).toHaveLength(sqliteMigrations.length);
    expect(await orm.migrator.up()).toHaveLength(0);
  });
});

test('both databases have the same migrations', () => {
  const [sqlite, postgresql] = [sqliteMigrations, postgresqlMigrations].map((list) => list.map(({ name }) => name));
  expect(postgresql).toEqual(sqlite);
});
