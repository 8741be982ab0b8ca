import { describe, expect, test } from '@jest/globals';
import { OrderCheck } from '../support/order-receiver.ts';
import type { Receiver } from '../support/receiver.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { StackForEachTest, STACKS } from '../support/stacks.ts';

const SEED = 42;
const KEYS = ['a', 'b', 'c', 'd'];
const EVENTS_PER_KEY = 30;
/** A worker is killed when so many requests have arrived. */
const KILL_AFTER = 40;
/** The deliveries of a dead worker wait for the end of their leases, which is 15 s and twice the timeout. */
const WITHIN_MS = 60_000;
const POLICY = { orderBy: 'key', timeout: 'PT0.5S', retrySchedule: ['PT0.01S', 'PT0.1S'] };

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

describe.each(STACKS)('with $name', (stack) => {
  const { isEmbedded } = stack;
  const installation = new StackForEachTest(stack);

  test('deliveries keep their order when requests fail and a worker is killed', async () => {
    const { bench, variables } = installation;
    const startWorker = () => installation.startWorker();
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
