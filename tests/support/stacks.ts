import { afterEach, beforeEach } from '@jest/globals';
import { createTemporaryDatabase, TEST_DATABASE_URL } from './postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from './rabbit-fixture.ts';
import type { ServerProcess } from './server-process.ts';
import { ENCRYPTION_KEY } from './vault.ts';
import { Workbench } from './workbench.ts';

/** Whole processes that share a store and a queue. */
export interface Stack {
  readonly name: string;
  /** One process does everything, on SQLite. */
  readonly isEmbedded: boolean;
  readonly queue: Readonly<Record<string, string>>;
}

const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;
const ON_POSTGRESQL = { name: 'two workers on PostgreSQL', isEmbedded: false, queue: {} };
const WITH_RABBITMQ = {
  name: 'two workers on PostgreSQL and RabbitMQ',
  isEmbedded: false,
  queue: { QUEUE_URL: TEST_QUEUE_URL ?? '', QUEUE_NAME },
};

/** Those whose services are there. */
export const STACKS: readonly Stack[] = [
  { name: 'one process on SQLite', isEmbedded: true, queue: {} },
  ...(TEST_DATABASE_URL === undefined ? [] : [ON_POSTGRESQL]),
  ...(TEST_DATABASE_URL === undefined || TEST_QUEUE_URL === undefined ? [] : [WITH_RABBITMQ]),
];

/** Gives each test an empty database, and ends its processes. */
export class StackForEachTest {
  bench = new Workbench();
  /** For each of its processes. */
  variables: Readonly<Record<string, string>> = {};
  #cleanUp = async () => {};

  constructor({ isEmbedded, queue }: Stack) {
    beforeEach(async () => {
      const bench = new Workbench();
      this.bench = bench;
      const database = isEmbedded ? undefined : await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
      this.variables = database === undefined ? {} : { DATABASE_URL: database.url, ENCRYPTION_KEY, ...queue };
      this.#cleanUp = async () => {
        await bench.clear();
        await database?.drop();
        await (queue['QUEUE_URL'] === undefined ? undefined : deleteQueue(QUEUE_NAME));
      };
    });
    afterEach(() => this.#cleanUp());
  }

  async startWorker(): Promise<ServerProcess> {
    const worker = this.bench.spawn({ ...this.variables, ROLES: 'worker' });
    await worker.said(/Health +\S+\n/u);
    return worker;
  }
}
