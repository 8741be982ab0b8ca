import { describe, expect, test } from '@jest/globals';
import type { Receiver } from '../support/receiver.ts';
import { StackForEachTest, STACKS } from '../support/stacks.ts';

const WORKERS = 2;
const COUNT = 20;
const MEASURED_MS = 10_000;
/** The first requests open connections, and arrive late. */
const WARM_UP_MS = 1_000;
/** With their retries more than the limit lets through in the time that is measured. */
const EVENTS = 220;
/** One in so many requests fails, and its retry counts too. */
const FAILS = 4;

describe.each(STACKS)('a limit of 20 a second, with $name', (stack) => {
  const { isEmbedded } = stack;
  const installation = new StackForEachTest(stack);

  async function startServers() {
    const { bench, variables } = installation;
    const api = bench.spawn(isEmbedded ? variables : { ...variables, ROLES: 'api' });
    await api.ready();
    for (let number = 0; !isEmbedded && number < WORKERS; number += 1) {
      await installation.startWorker();
    }
    return api;
  }

  test('lets 20 a second through, retries too, and another destination gets everything at once', async () => {
    const api = await startServers();
    const receiver = await installation.bench.receiver();
    const { limited, other } = watch(receiver);
    const { id, token } = await api.createAccount();
    const policy = {
      rateLimit: { count: COUNT, per: 'PT1S' },
      retrySchedule: Array.from({ length: 5 }, () => 'PT0.2S'),
    };
    await api.createDestination(id, receiver.url('/limited'), { policy });
    await api.createDestination(id, receiver.url('/other'));
    await Promise.all(Array.from({ length: EVENTS }, (_, number) => api.sendAccepted(token, `{"n":${number}}`)));
    const acceptedAt = performance.now();
    await arrivedAt(receiver, other, EVENTS);
    expect((other.at(-1) ?? Infinity) - acceptedAt).toBeLessThan(6_000);
    // While the limited one has a backlog, and none of its deliveries has a slot, an event is at the other at once.
    const sentAt = performance.now();
    await api.sendAccepted(token, '{"late":true}');
    await arrivedAt(receiver, other, EVENTS + 1);
    expect((other.at(-1) ?? Infinity) - sentAt).toBeLessThan(3_000);

    const from = (limited[0] ?? 0) + WARM_UP_MS;
    await arrivedAt(receiver, limited, COUNT * ((WARM_UP_MS + MEASURED_MS) / 1_000) * 1.1);
    const within = (start: number, ms: number) =>
      limited.filter((at) => at >= from + start && at < from + start + ms).length;
    const perSecond = Array.from({ length: MEASURED_MS / 1_000 }, (_, second) => within(second * 1_000, 1_000));
    process.stdout.write(`limit of ${COUNT}/s, ${isEmbedded ? 1 : WORKERS} workers: ${perSecond.join(' ')}\n`);
    expect(within(0, MEASURED_MS)).toBeGreaterThanOrEqual(COUNT * 10 * 0.9);
    expect(within(0, MEASURED_MS)).toBeLessThanOrEqual(COUNT * 10 * 1.1);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(COUNT * 2);
    expect(receiver.received.some(({ headers }) => headers['x-delivery-attempt'] === '2')).toBe(true);
  }, 90_000);
});

/** When requests arrive, by path. */
function watch(receiver: Receiver): { limited: number[]; other: number[] } {
  const limited: number[] = [];
  const other: number[] = [];
  receiver.answerWith((response, { target }) => {
    const isLimited = target === '/limited';
    (isLimited ? limited : other).push(performance.now());
    response.writeHead(isLimited && limited.length % FAILS === 0 ? 500 : 200).end();
  });
  return { limited, other };
}

async function arrivedAt(receiver: Receiver, arrivals: readonly number[], count: number): Promise<void> {
  while (arrivals.length < count) {
    await receiver.arrived(receiver.received.length + 1);
  }
}
