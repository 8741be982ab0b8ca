import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { AcceptedEvent } from '../../src/storage/event-store.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { NOW, routeAtOnce, StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

const KEYS = 500;
const ROUNDS = 4;

/** Each has its own connections, as two processes have. */
(TEST_DATABASE_URL === undefined ? describe.skip : describe)('two stores on one PostgreSQL database', () => {
  let database: TemporaryDatabase;
  let stores: Storage[] = [];
  let fixture: StoreFixture;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL as string);
    const open = () => openStorage({ type: 'postgresql', url: database.url }, TEST_VAULT);
    stores = [await open(), await open()];
    fixture = new StoreFixture(() => stores[0] as Storage);
  });

  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await database.drop();
  });

  test('batches with the same keys in opposite orders do not lock each other out, and store each key once', async () => {
    const { id, token } = await fixture.account(1);
    const accept = (store: Storage, key: string): Promise<AcceptedEvent | undefined> => {
      const event = { id: fixture.newId(), token, payload: Buffer.from('{}'), type: null, receivedAt: NOW, hops: 0 };
      return store.events.accept({ ...event, idempotencyKey: key }, routeAtOnce);
    };
    for (let round = 1; round <= ROUNDS; round += 1) {
      const keys = Array.from({ length: KEYS }, (_, index) => `${round}-${index}`);
      const orders = [keys, keys.toReversed()];
      const answers = await Promise.all(
        stores.flatMap((store, index) => orders[index]?.map((key) => accept(store, key)) ?? []),
      );
      expect(answers.filter((answer) => answer?.earlier === undefined)).toHaveLength(KEYS);
    }
    expect(await stores[0]?.reads(EVERYTHING).events.eventCountOf(id)).toBe(ROUNDS * KEYS);
  });
});
