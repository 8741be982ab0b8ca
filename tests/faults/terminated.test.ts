import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { Fleet, report, seconds } from '../support/fleet.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';

const POOL_SIZE = 10;
const TERMINATED_MIN = 3 * POOL_SIZE;
/** Of the statements that an api and a worker have under way at the same time. */
const WAITING_MIN = 2;

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('connections that PostgreSQL terminates in the middle of transactions', () => {
  let database: TemporaryDatabase;
  let fleet: Fleet;
  let admin: Client;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    fleet = await Fleet.start({ DATABASE_URL: database.url }, ['api', 'worker']);
    admin = new Client({ connectionString: database.url, application_name: 'test' });
    await admin.connect();
  });

  afterEach(async () => {
    await admin.end();
    await fleet.clear();
    await database.drop();
  });

  test('three times the pool of them: no acknowledged event is lost, and the pools are whole afterwards', async () => {
    fleet.sendLoad();
    let terminated = 0;
    const recoveries: number[] = [];
    while (terminated < TERMINATED_MIN) {
      await fleet.load.accepted(5);
      terminated += await terminateInTransaction();
      const recovered = fleet.nextNew();
      const began = performance.now();
      recoveries.push((await recovered) - began);
    }
    // Idle ones too, and those that only listen, more than once.
    for (let round = 0; round < 3; round += 1) {
      await listeners();
      terminated += await terminate('true');
    }
    await fleet.load.accepted(20);
    const figures = await fleet.settle(45_000);
    const ready = await Promise.all(
      Array.from({ length: 2 * POOL_SIZE }, () => fetch(`${fleet.api.urls.health}/ready`)),
    );
    report('PostgreSQL connections terminated', {
      ...figures,
      terminated,
      slowestRecoverySeconds: seconds(Math.max(...recoveries)),
    });
    expect(figures).toMatchObject({ lost: 0, repeatedTooSoon: 0, changed: 0, idsChanged: 0 });
    expect(ready.map(({ status }) => status)).toEqual(ready.map(() => 200));
    expect(Math.max(...recoveries)).toBeLessThan(10_000);
    expect(fleet.members.every(({ server }) => server.isRunning)).toBe(true);
    expect(await listeners()).toBe(1);
  }, 90_000);

  /** A lock makes sure that the statements are under way when their connections end. */
  async function terminateInTransaction(): Promise<number> {
    await admin.query('begin');
    await admin.query('lock table delivery in access exclusive mode');
    await fleet.api.eventually(
      () => count("wait_event_type = 'Lock'"),
      (waiting) => waiting >= WAITING_MIN,
    );
    const terminated = await terminate("wait_event_type = 'Lock'");
    await admin.query('rollback');
    return terminated;
  }

  async function terminate(condition: string): Promise<number> {
    const { rowCount } = await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${ours(condition)}`,
    );
    return rowCount ?? 0;
  }

  async function count(condition: string): Promise<number> {
    const { rows } = await admin.query(`select count(*)::int as n from pg_stat_activity where ${ours(condition)}`);
    return rows[0].n;
  }

  /** How many connections wait for notifications, once there is any. */
  async function listeners(): Promise<number> {
    return fleet.api.eventually(
      () => count("application_name = 'data-pusher notifier'"),
      (found) => found > 0,
    );
  }
});

function ours(condition: string): string {
  return `datname = current_database() and application_name like 'data-pusher%' and ${condition}`;
}
