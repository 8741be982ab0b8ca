import { describe, expect, test } from '@jest/globals';
import { MikroORM } from '@mikro-orm/sqlite';
import { ormOptions } from '../../src/storage/orm.ts';

describe('migrations', () => {
  test('make exactly the schema that the entities describe', async () => {
    const orm = await MikroORM.init(ormOptions({ type: 'sqlite', path: ':memory:' }));
    await orm.migrator.up();
    expect(await orm.schema.getUpdateSchemaSQL({ wrap: false })).toBe('');
    await orm.close();
  });

  test('are applied once', async () => {
    const orm = await MikroORM.init(ormOptions({ type: 'sqlite', path: ':memory:' }));
    expect(await orm.migrator.up()).toHaveLength(1);
    expect(await orm.migrator.up()).toHaveLength(0);
    await orm.close();
  });
});
