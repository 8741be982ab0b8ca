import { beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { DeliveryStatus } from '../../src/core/delivery.ts';
import { storeForEachTest, STORES } from './backends.ts';

const COUNTED = 10_000;

describe.each(STORES)('long lists on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  let accountId: string;
  let destinationId: string;

  beforeEach(async () => {
    const account = await fixture.account(1);
    accountId = account.id;
    destinationId = account.destinationIds[0] ?? '';
  });

  /** Deliveries numbered from 1, as many of each status, in turns. */
  async function insert(count: number): Promise<string[]> {
    const ids = Array.from(
      { length: count },
      (_, number) => `01900000-0000-7000-8000-${(number * 0x1000 + 1).toString(16).padStart(12, '0')}`,
    );
    const rows = ids.map((id, at) => [id, `${id.slice(0, -3)}000`, ['PENDING', 'SUCCEEDED', 'FAILED'][at % 3]]);
    const database = store.storage.fork(EVERYTHING).getKysely();
    for (let at = 0; at < rows.length; at += 1_000) {
      const values = rows
        .slice(at, at + 1_000)
        .map(([id, event, status]) => sql`(${id}, ${event}, ${destinationId}, ${status}, 0)`);
      await sql`insert into delivery (id, event_id, destination_id, status, attempt_count) values ${sql.join(values)}`.execute(
        database,
      );
    }
    return ids.toReversed();
  }

  const reads = () => store.storage.reads(EVERYTHING).deliveries;
  const page = async (first: number, after?: string, status?: DeliveryStatus) =>
    (await reads().deliveriesOf(destinationId, { first, after }, status)).rows.map(({ id }) => id);

  test('are counted exactly up to ten thousand, and not beyond', async () => {
    await insert(COUNTED);
    expect(await reads().deliveryCountOf(destinationId, undefined)).toBe(COUNTED);
    expect(await reads().deliveryCountOf(destinationId, 'PENDING')).toBe(Math.ceil(COUNTED / 3));
    await sql`insert into delivery (id, event_id, destination_id, status, attempt_count)
      select 'ffffffff-0000-7000-8000-000000000001', event_id, destination_id, status, 0 from delivery limit 1`.execute(
      store.storage.fork(EVERYTHING).getKysely(),
    );
    expect(await reads().deliveryCountOf(destinationId, undefined)).toBeNull();
    expect(await store.storage.reads(EVERYTHING).events.eventCountOf(accountId)).toBe(0);
  });

  test('are read newest first, whatever the statuses, and by one of them', async () => {
    const ids = await insert(100);
    expect(await page(100)).toEqual(ids);
    expect(await page(10, ids[41])).toEqual(ids.slice(42, 52));
    expect(await page(100, undefined, 'FAILED')).toEqual(ids.filter((_, at) => (99 - at) % 3 === 2));
    expect(await page(5, ids[50], 'PENDING')).toEqual(
      ids.filter((_, at) => at > 50 && (99 - at) % 3 === 0).slice(0, 5),
    );
  });
});
