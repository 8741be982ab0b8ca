import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Fleet, LEASE_MS, report, seconds } from '../support/fleet.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('a worker that is killed while a receiver holds its request', () => {
  let database: TemporaryDatabase;
  let fleet: Fleet;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    fleet = await Fleet.start({ DATABASE_URL: database.url }, ['api', 'worker']);
  });

  afterEach(async () => {
    await fleet.clear();
    await database.drop();
  });

  test('the event is delivered again when the lease is over, not before, once, with the same webhook-id', async () => {
    const { receiver } = fleet;
    const answer = new Promise<void>((resolve) => {
      receiver.answerWith((response, _received, attempt) => {
        if (attempt > 1) {
          response.end();
          resolve();
        }
      });
    });
    fleet.sendLoad(1);
    await receiver.arrived(1);
    const killed = performance.now();
    await fleet.replace(fleet.members.findIndex(({ role }) => role === 'worker'));
    await answer;
    const recovery = performance.now() - killed;
    const figures = await fleet.settle(30_000);
    report('worker killed while a receiver holds', { ...figures, recoverySeconds: seconds(recovery) });
    expect(figures).toEqual({ acknowledged: 1, lost: 0, duplicated: 1, repeatedTooSoon: 0, changed: 0, idsChanged: 0 });
    expect(recovery).toBeGreaterThan(LEASE_MS - 1_500);
    expect(recovery).toBeLessThan(LEASE_MS + 5_000);
  }, 60_000);
});
