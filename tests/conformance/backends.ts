import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import type { DeliveryQueue } from '../../src/queue/delivery-queue.ts';
import type { Vault } from '../../src/core/vault.ts';
import { LocalQueue } from '../../src/queue/local-queue.ts';
import type { DatabaseOptions, Storage } from '../../src/storage/storage.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import { RabbitFixture, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { StoreFixture } from '../support/store-fixture.ts';
import { TEST_VAULT } from '../support/vault.ts';

/** A store under test: empty when created; `reopen` is a new process's view of the same data. */
export interface StoreUnderTest {
  readonly storage: Storage;
  reopen(vault?: Vault): Promise<void>;
  dispose(): Promise<void>;
}

export interface Backend<Subject> {
  readonly name: string;
  create(): Promise<Subject>;
}

/** Every database that a store runs on; the same suite is run on each. */
export const STORES: readonly Backend<StoreUnderTest>[] = [
  { name: 'SQLite', create: createSqlite },
  ...(TEST_DATABASE_URL === undefined
    ? []
    : [{ name: 'PostgreSQL', create: () => createPostgresql(TEST_DATABASE_URL as string) }]),
];

/** Gives each test of a suite an empty store of its own. */
export function storeForEachTest(create: () => Promise<StoreUnderTest>) {
  let current: StoreUnderTest;
  beforeEach(async () => {
    current = await create();
  });
  afterEach(() => current.dispose());
  const store: Omit<StoreUnderTest, 'dispose'> = {
    get storage() {
      return current.storage;
    },
    reopen: (vault) => current.reopen(vault),
  };
  return { store, fixture: new StoreFixture(() => current.storage) };
}

/** Every queue; the same suite is run on each. */
export const QUEUES: readonly Backend<DeliveryQueue>[] = [
  { name: 'local', create: async () => new LocalQueue() },
  ...(TEST_QUEUE_URL === undefined ? [] : [{ name: 'RabbitMQ', create: createRabbit }]),
];

async function createSqlite(): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'data-pusher-store-'));
  return underTest({ type: 'sqlite', path: join(folder, 'store.db') }, () =>
    rmSync(folder, { recursive: true, force: true }),
  );
}

async function createPostgresql(server: string): Promise<StoreUnderTest> {
  const { url, drop } = await createTemporaryDatabase(server);
  return underTest({ type: 'postgresql', url }, drop);
}

async function underTest(options: DatabaseOptions, cleanUp: () => Promise<void> | void): Promise<StoreUnderTest> {
  let storage = await openStorage(options, TEST_VAULT);
  return {
    get storage() {
      return storage;
    },
    async reopen(vault = TEST_VAULT) {
      await storage.close();
      storage = await openStorage(options, vault);
    },
    async dispose() {
      await storage.close();
      await cleanUp();
    },
  };
}

/** Its stop also removes the queue from the broker. */
async function createRabbit(): Promise<DeliveryQueue> {
  const fixture = new RabbitFixture();
  const queue = await fixture.connectedQueue();
  return {
    get visibilityMs() {
      return queue.visibilityMs;
    },
    get isConsuming() {
      return queue.isConsuming;
    },
    publish: (tickets) => queue.publish(tickets),
    subscribe: (receive) => queue.subscribe(receive),
    stop: () => fixture.dispose(),
  };
}
