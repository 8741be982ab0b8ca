import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { intrudePostgresql } from '../support/intruder.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { HAS_PGBOUNCER, PrivatePgbouncer } from '../support/private-pgbouncer.ts';
import { describeWhere } from '../support/requirement.ts';
import { PROGRAM } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const WAITING = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

describeWhere(
  TEST_DATABASE_URL !== undefined && HAS_PGBOUNCER,
  'PostgreSQL and the package pgbouncer: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('behind PgBouncer in transaction mode', () => {
  let bench: Workbench;
  let database: TemporaryDatabase;
  let pgbouncer: PrivatePgbouncer;
  let variables: Record<string, string>;

  beforeEach(async () => {
    bench = new Workbench();
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    pgbouncer = await PrivatePgbouncer.start(database.url, 3);
    variables = {
      DATABASE_URL: pgbouncer.urlOf(database.url),
      LISTEN_DATABASE_URL: database.url,
      ENCRYPTION_KEY,
      SHUTDOWN_DELAY: '0s',
    };
  });
  afterEach(async () => {
    await bench.clear();
    await pgbouncer.stop();
    await database.drop();
  });

  test('processes that start together, more than PgBouncer has connections, all come up, and one has migrated', async () => {
    const command = [process.execPath, PROGRAM, 'migrate'];
    const starts = Array.from({ length: 5 }, () => bench.spawn(variables, { command }));
    const exits = await Promise.all(starts.map(({ exited }) => exited));
    expect(exits).toEqual(Array.from(starts, () => ({ code: 0, signal: null })));
    expect(starts.filter(({ stdout }) => stdout.includes('0001-initial'))).toHaveLength(1);
    expect(starts.map(({ stderr }) => stderr).join('')).toBe('');
  }, 60_000);

  test('an event that one process has accepted is delivered by another', async () => {
    const receiver = await bench.receiver();
    const api = await bench.start({ ...variables, ROLES: 'api' });
    const worker = bench.spawn({ ...variables, ROLES: 'worker' });
    await worker.said(/Health +\S+\n/u);
    const { id, token } = await api.createAccount();
    await api.createDestination(id, receiver.url());
    for (let number = 0; number < 20; number += 1) {
      await api.sendAccepted(token, `{"number":${number}}`);
    }
    await receiver.arrived(20);
    expect([await api.end(), await worker.end()]).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    expect(worker.stderr + api.stderr).not.toMatch(/"level":[456]0/u);
  }, 60_000);

  describe.each(['by PgBouncer', 'without it'])('%s', (way) => {
    test('the server too gives up a statement that is over its time', async () => {
      const server = await bench.start(way === 'without it' ? { ...variables, DATABASE_URL: database.url } : variables);
      const { token } = await server.createAccount();
      const [other, watcher] = [await intrudePostgresql(database.url), await intrudePostgresql(database.url)];
      try {
        await other.lock();
        const refused = server.send(token, '{}');
        while ((await watcher.rowCount(WAITING)) === 0) {
          // Until the server waits for the lock.
        }
        await watcher.execute(`create temporary table seen as select pid, query_start from ${WAITING}`);
        expect((await refused).status).toBe(503);
        while (
          (await watcher.rowCount(`pg_stat_activity join seen using (pid, query_start) where state = 'active'`)) > 0
        ) {
          // Until the server has given it up: as long as the lock is held, nothing else ends it.
        }
        await other.unlock();
        // Whoever has waited behind a statement that was given up is refused with it.
        await server.eventually(
          () => server.send(token, '{}'),
          ({ status }) => status === 202,
        );
      } finally {
        await Promise.all([other.close(), watcher.close()]);
      }
    });
  });
});
