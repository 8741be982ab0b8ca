import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { OrderCheck } from '../support/order-receiver.ts';
import type { Receiver } from '../support/receiver.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;
const SEED = 42;
const KEYS = ['a', 'b', 'c', 'd'];
const EVENTS_PER_KEY = 30;
/** A worker is killed when so many requests have arrived. */
const KILL_AFTER = 40;
/** The deliveries of a dead worker wait for the end of their leases, which is 15 s and twice the timeout. */
const WITHIN_MS = 60_000;
const POLICY = { orderBy: 'key', timeout: 'PT0.5S', retrySchedule: ['PT0.01S', 'PT0.1S'] };

interface Setting {
  readonly name: string;
  readonly isEmbedded: boolean;
  readonly isPossible: boolean;
  readonly queue: Readonly<Record<string, string>>;
}

const SETTINGS: Setting[] = [
  { name: 'one process on SQLite', isEmbedded: true, isPossible: true, queue: {} },
  { name: 'two workers on PostgreSQL', isEmbedded: false, isPossible: TEST_DATABASE_URL !== undefined, queue: {} },
  {
    name: 'two workers on PostgreSQL and RabbitMQ',
    isEmbedded: false,
    isPossible: TEST_DATABASE_URL !== undefined && TEST_QUEUE_URL !== undefined,
    queue: { QUEUE_URL: TEST_QUEUE_URL ?? '', QUEUE_NAME },
  },
];

/** Fails often, and at random. */
function answerWithFailures(receiver: Receiver, check: OrderCheck): void {
  const random = seededRandom(SEED);
  receiver.answerWith((response, received) => {
    check.begin(received);
    setImmediate(() => check.end(received, response, random() < 0.3 ? 503 : 200));
  });
}

async function sendAll(api: ServerProcess, token: string): Promise<void> {
  await Promise.all(
    KEYS.map(async (key) => {
      for (let n = 1; n <= EVENTS_PER_KEY; n += 1) {
        await api.sendAccepted(token, JSON.stringify({ key, n }));
      }
    }),
  );
}

describe.each(SETTINGS.filter(({ isPossible }) => isPossible))('with $name', ({ isEmbedded, queue }) => {
  let bench: Workbench;
  let cleanUp: () => Promise<void>;
  let variables: Readonly<Record<string, string>>;

  beforeEach(async () => {
    bench = new Workbench();
    const database = isEmbedded ? undefined : await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    variables = database === undefined ? {} : { DATABASE_URL: database.url, ENCRYPTION_KEY, ...queue };
    cleanUp = async () => {
      await bench.clear();
      await database?.drop();
      await (queue['QUEUE_URL'] === undefined ? undefined : deleteQueue(QUEUE_NAME));
    };
  });
  afterEach(() => cleanUp());

  async function startWorker(): Promise<ServerProcess> {
    const worker = bench.spawn({ ...variables, ROLES: 'worker' });
    await worker.said(/Health +\S+\n/u);
    return worker;
  }

  test('deliveries keep their order when requests fail and a worker is killed', async () => {
    const first = await bench.start(isEmbedded ? variables : { ...variables, ROLES: 'api' });
    const workers = isEmbedded ? [first] : [await startWorker(), await startWorker()];
    const receiver = await bench.receiver();
    const check = new OrderCheck();
    answerWithFailures(receiver, check);
    const { id, token } = await first.createAccount();
    const destinationId = await first.createDestination(id, receiver.url(), { policy: POLICY });

    const sent = sendAll(first, token);
    // Where there is one process only, it lives until everything is accepted.
    await Promise.all([receiver.arrived(KILL_AFTER), isEmbedded && sent]);
    await workers[0]?.end('SIGKILL');
    const api = isEmbedded ? await bench.start(variables) : first;
    await (isEmbedded ? undefined : startWorker());
    await sent;

    const query = 'query ($id: ID!) { destination(id: $id) { deliveries(status: PENDING) { totalCount } } }';
    const pending = async (): Promise<number> =>
      (await api.data(query, { id: destinationId })).destination.deliveries.totalCount;
    await api.eventually(pending, (count) => count === 0, WITHIN_MS);
    expect(check.inversions).toEqual([]);
    const arrived = new Set(receiver.received.map(({ body }) => body.toString()));
    expect(arrived.size).toBe(KEYS.length * EVENTS_PER_KEY);
  }, 120_000);
});
