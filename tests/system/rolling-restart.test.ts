import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Fleet, report } from '../support/fleet.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';

const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;
const ACCEPTED_BETWEEN = 100;

describeWhere(
  TEST_DATABASE_URL !== undefined && TEST_QUEUE_URL !== undefined,
  'PostgreSQL and RabbitMQ: npm run services, then TEST_DATABASE_URL and TEST_QUEUE_URL as it prints them',
)('a rolling restart of two api and two workers under load', () => {
  let database: TemporaryDatabase;
  let fleet: Fleet | undefined;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
  });

  afterEach(async () => {
    await fleet?.clear();
    await database.drop();
    await deleteQueue(QUEUE_NAME);
  });

  test('no request is refused, no event is lost, and none is delivered twice', async () => {
    const variables = {
      DATABASE_URL: database.url,
      QUEUE_URL: TEST_QUEUE_URL ?? '',
      QUEUE_NAME,
      SHUTDOWN_DELAY: '500ms',
    };
    fleet = await Fleet.start(variables, ['api', 'worker', 'api', 'worker']);
    fleet.sendLoad();
    await fleet.load.accepted(ACCEPTED_BETWEEN);
    // Each replaced process is put last, so that the first is always the oldest.
    for (let left = fleet.members.length; left > 0; left -= 1) {
      await fleet.replace(0, 'SIGTERM');
      await fleet.load.accepted(ACCEPTED_BETWEEN);
    }
    const figures = await fleet.settle(30_000);
    const refused = fleet.load.answers.filter(({ status }) => status !== 202).map(({ status }) => status);
    report('rolling restart', { ...figures, refused: refused.length });
    expect(refused).toEqual([]);
    expect(figures).toMatchObject({ lost: 0, duplicated: 0, changed: 0, idsChanged: 0 });
  }, 90_000);
});
