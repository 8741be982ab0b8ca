import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import { ThreadedConnection } from '../../src/storage/sqlite/connection.ts';
import { ReadingConnection } from '../../src/storage/sqlite/dialect.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

/** Takes seconds, and touches no table. */
const ENDLESS =
  'with recursive n (i) as (select 1 union all select i + 1 from n limit 30000000) select count(*) from n';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'data-pusher-reader-'));
  path = join(folder, 'store.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('what requests read from a SQLite file', () => {
  let writer: ThreadedConnection;
  let reader: ReadingConnection;

  beforeEach(async () => {
    writer = new ThreadedConnection(path);
    await writer.executeQuery(CompiledQuery.raw('create table thing (id integer)'));
    reader = new ReadingConnection(path, 1_000);
  });
  afterEach(async () => {
    await reader.close();
    await writer.close();
  });

  const count = async () => (await reader.executeQuery(CompiledQuery.raw('select count(*) as n from thing'))).rows;

  test('holds up no commit, and sees every commit that was before it', async () => {
    let isRead = false;
    const patient = new ReadingConnection(path, 120_000);
    const reading = patient.executeQuery(CompiledQuery.raw(ENDLESS)).finally(() => {
      isRead = true;
    });
    for (let stored = 1; stored <= 10; stored += 1) {
      await writer.transact([CompiledQuery.raw('insert into thing values (1)')]);
      expect(await count()).toEqual([{ n: stored }]);
    }
    expect(isRead).toBe(false);
    await reading;
    await patient.close();
  }, 60_000);

  test('is given up when it takes too long, and the next is read by a new thread', async () => {
    await expect(reader.executeQuery(CompiledQuery.raw(ENDLESS))).rejects.toMatchObject({ code: 'SQLITE_INTERRUPT' });
    expect(await count()).toEqual([{ n: 0 }]);
  }, 60_000);

  test('cannot be written', async () => {
    for (const statement of ['insert into thing values (1)', 'drop table thing']) {
      await expect(reader.executeQuery(CompiledQuery.raw(statement))).rejects.toMatchObject({
        code: 'SQLITE_READONLY',
      });
    }
    expect(await count()).toEqual([{ n: 0 }]);
  });
});

test('a file that is closed in order leaves no log behind, although it had a reader', async () => {
  const storage = await openStorage({ type: 'sqlite', path }, TEST_VAULT);
  const { id } = await new StoreFixture(() => storage).account(1);
  expect(await storage.reads(EVERYTHING).accounts.account(id)).toMatchObject({ id });
  expect(existsSync(`${path}-wal`)).toBe(true);
  await storage.close();
  expect(existsSync(`${path}-wal`)).toBe(false);
});

test('a database in memory has one connection, and is read all the same', async () => {
  const storage = await openStorage({ type: 'sqlite', path: ':memory:' }, TEST_VAULT);
  const { id } = await new StoreFixture(() => storage).account(1);
  expect(await storage.reads(EVERYTHING).accounts.account(id)).toMatchObject({ id });
  await storage.close();
});
