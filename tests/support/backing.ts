import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Intruder, intrudePostgresql, intrudeSqlite } from './intruder.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from './postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from './rabbit-fixture.ts';
import { ENCRYPTION_KEY } from './vault.ts';

/** What an application under test stores and queues with. */
export interface Backing {
  readonly variables: Readonly<Record<string, string>>;
  intrude(): Promise<Intruder>;
  drop(): Promise<void>;
}

/** With `TEST_STACK=services` the same suites run on PostgreSQL and RabbitMQ, otherwise on the embedded default. */
export function createBacking(): Promise<Backing> {
  return process.env['TEST_STACK'] === 'services' ? createServices() : createEmbedded();
}

async function createEmbedded(): Promise<Backing> {
  const folder = mkdtempSync(join(tmpdir(), 'data-pusher-test-'));
  const path = join(folder, 'test.db');
  return {
    variables: { DATABASE_URL: `sqlite:${path}` },
    intrude: async () => intrudeSqlite(path),
    drop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function createServices(): Promise<Backing> {
  if (TEST_DATABASE_URL === undefined || TEST_QUEUE_URL === undefined) {
    throw new Error('TEST_STACK=services needs TEST_DATABASE_URL and TEST_QUEUE_URL; "npm run services" prints them.');
  }
  const database = await createTemporaryDatabase(TEST_DATABASE_URL);
  const queueName = `data-pusher.test-${crypto.randomUUID()}`;
  return {
    variables: {
      DATABASE_URL: database.url,
      ENCRYPTION_KEY,
      QUEUE_URL: TEST_QUEUE_URL,
      QUEUE_NAME: queueName,
      SHUTDOWN_DELAY: '0s',
    },
    intrude: () => intrudePostgresql(database.url),
    drop: async () => {
      await deleteQueue(queueName);
      await database.drop();
    },
  };
}
