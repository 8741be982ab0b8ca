import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Intruder, intrudePostgresql } from '../support/intruder.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { PROGRAM } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const ERASE_DUE = `setting where name = 'erase-due'`;
const WHO_WAITS = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('what an earlier version has left readable on PostgreSQL', () => {
  let bench: Workbench;
  let database: TemporaryDatabase;
  let other: Intruder;
  /** Within a transaction the server tells of others what it has told before. */
  let watcher: Intruder;

  beforeEach(async () => {
    bench = new Workbench();
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    other = await intrudePostgresql(database.url);
    watcher = await intrudePostgresql(database.url);
  });
  afterEach(async () => {
    await bench.clear();
    await other.close();
    await watcher.close();
    await database.drop();
  });

  test('is erased by the next start when the one before was killed', async () => {
    const variables = { DATABASE_URL: database.url, ENCRYPTION_KEY };
    const migrate = () => bench.spawn(variables, { command: [process.execPath, PROGRAM, 'migrate'] });
    await migrate().exited;
    await other.execute(`insert into account (id, email, email_key, name, token_hash, sealed_token, created_at, updated_at)
      values (gen_random_uuid(), 'a@example.com', 'a@example.com', 'A', 'hash', 'a readable token', now(), now())`);

    // What was readable is sealed, and its erasing waits until nobody uses the table.
    await other.execute('begin; lock table account in access share mode');
    const first = migrate();
    while (first.isRunning && (await watcher.rowCount(WHO_WAITS)) === 0) {
      // Until one of both is so.
    }
    await first.end('SIGKILL');
    expect(await other.rowCount(`account where sealed_token like 'v1.%'`)).toBe(1);
    expect(await other.rowCount(ERASE_DUE)).toBe(1);
    await other.execute('rollback');

    expect(await migrate().exited).toEqual({ code: 0, signal: null });
    expect(await other.rowCount(ERASE_DUE)).toBe(0);
  });
});
