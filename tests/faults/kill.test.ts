import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Fleet, report, seconds } from '../support/fleet.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';
import { seededRandom } from '../support/seeded-random.ts';

const ROUNDS = 20;
const SEED = 20_260_102;
const ACCEPTED_BETWEEN_MAX = 15;
const RECOVERED_WITHIN_MS = 10_000;
/** Most of it is taken by the start of processes: about 50 s on two idle cores. */
const TIMEOUT_MS = 240_000;
const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;

describeWhere(
  TEST_DATABASE_URL !== undefined && TEST_QUEUE_URL !== undefined,
  'PostgreSQL and RabbitMQ: npm run services, then TEST_DATABASE_URL and TEST_QUEUE_URL as it prints them',
)(`kill -9 of one of two api and two worker processes under load, ${ROUNDS} times`, () => {
  let database: TemporaryDatabase;
  let fleet: Fleet | undefined;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    fleet = undefined;
  });

  afterEach(async () => {
    await fleet?.clear();
    await database.drop();
    await deleteQueue(QUEUE_NAME);
  });

  test.each([
    ['on PostgreSQL alone', {}],
    ['with RabbitMQ', { QUEUE_URL: TEST_QUEUE_URL ?? '', QUEUE_NAME }],
  ])(
    '%s: no acknowledged event is lost, and only what a dead worker had under way is sent twice, with the same webhook-id',
    async (where, queue) => {
      fleet = await Fleet.start({ DATABASE_URL: database.url, ...queue }, ['api', 'worker', 'api', 'worker']);
      fleet.sendLoad();
      const random = seededRandom(SEED);
      const recoveries: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await fleet.load.accepted(1 + Math.floor(random() * ACCEPTED_BETWEEN_MAX));
        const killed = performance.now();
        const recovered = fleet.nextNew();
        await fleet.replace(Math.floor(random() * fleet.members.length));
        recoveries.push((await recovered) - killed);
      }
      const figures = await fleet.settle(45_000);
      report(`kill -9 ${where}`, { ...figures, slowestRecoverySeconds: seconds(Math.max(...recoveries)) });
      expect(figures.acknowledged).toBeGreaterThan(ROUNDS);
      expect(figures).toMatchObject({ lost: 0, repeatedTooSoon: 0, changed: 0, idsChanged: 0 });
      expect(Math.max(...recoveries)).toBeLessThan(RECOVERED_WITHIN_MS);
    },
    TIMEOUT_MS,
  );
});
