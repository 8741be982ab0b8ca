import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { type Intruder, intrudePostgresql } from '../support/intruder.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { NOW, StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

const LEASED_UNTIL = NOW + 60_000;
const WHO_WAITS = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('on PostgreSQL', () => {
  let database: TemporaryDatabase;
  let storage: Storage;
  let other: Intruder;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    storage = await openStorage({ type: 'postgresql', url: database.url }, TEST_VAULT);
    other = await intrudePostgresql(database.url);
  });
  afterEach(async () => {
    await other.close();
    await storage.close();
    await database.drop();
  });

  test('a claim is not lost to a sweep that looks at the delivery at that moment, and leaves it', async () => {
    const store = new StoreFixture(() => storage);
    const { token } = await store.account(1);
    const [ticket] = await store.event(token);
    if (ticket === undefined) {
      throw new Error('There is no ticket.');
    }
    // A sweep locks a row before it sees that another worker has just taken it.
    await other.execute('begin; select id from delivery for update');
    let isAnswered = false;
    const claim = storage.deliveries.claim(ticket, LEASED_UNTIL).finally(() => {
      isAnswered = true;
    });
    while (!isAnswered && (await other.rowCount(WHO_WAITS)) === 0) {
      // Until one of both is so.
    }
    await other.execute('rollback');
    expect(await claim).toMatchObject({ deliveryId: ticket.deliveryId, attempt: 1 });
  });
});
