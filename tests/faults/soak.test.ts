import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { residentMiB } from '../../bench/memory.ts';
import { report } from '../support/fleet.ts';
import { MixedDestinations } from '../support/mixed-destinations.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { postAtRate } from '../support/rated-load.ts';
import { describeWhere } from '../support/requirement.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

/** `SOAK_MINUTES=20` is what the nightly run asks for; a short one shows that the test works. */
const SECONDS = Number(process.env['SOAK_MINUTES'] ?? '1') * 60;
/** 400 events a second in all, of which some go to bad destinations too. */
const GOOD_PER_SECOND = 360;
const MIXED_PER_SECOND = 40;
const SAMPLE_MS = 500;
/**
 * What may come together in half of the time without being a leak. The heap takes its size in the first minutes, so a
 * short run is no judge of that.
 */
const GROWTH_MIB_MAX = SECONDS < 600 ? Number.POSITIVE_INFINITY : 48;
/** How long nothing at all may be delivered while something waits. */
const STALLED_MS = 60_000;
const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;
const DELIVERIES = `query ($id: ID!) { destination(id: $id) {
  pending: deliveries(first: 1, status: PENDING) { totalCount }
  failed: deliveries(first: 1, status: FAILED) { totalCount }
} }`;

describeWhere(
  TEST_DATABASE_URL !== undefined && TEST_QUEUE_URL !== undefined && process.platform === 'linux',
  'Linux, PostgreSQL and RabbitMQ: npm run services, then TEST_DATABASE_URL and TEST_QUEUE_URL as it prints them',
)(`${GOOD_PER_SECOND + MIXED_PER_SECOND} events a second for ${SECONDS} s, some to bad destinations`, () => {
  let bench: Workbench;
  let destinations: MixedDestinations;
  const cleanUp: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    bench = new Workbench();
    destinations = await MixedDestinations.start();
  });

  afterEach(async () => {
    await bench.clear();
    await destinations.stop();
    for (const clean of cleanUp.splice(0)) {
      await clean();
    }
  });

  async function startProcesses(variables: Readonly<Record<string, string>>, roles: readonly string[]) {
    const common = { DELIVERY_TIMEOUT: '2s', RETRY_SCHEDULE: '1s,1s', LOG_LEVEL: 'error', ...variables };
    const [api, ...others] = roles.map((role) => bench.spawn({ ...common, ROLES: role }));
    await Promise.all([api?.ready(), ...others.map((server) => server.said(/Health +\S+\n/u))]);
    return { api: api as ServerProcess, pids: [api as ServerProcess, ...others].map(({ pid }) => pid) };
  }

  async function startOnServices(queue: Readonly<Record<string, string>>) {
    const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    cleanUp.push(drop, () => deleteQueue(QUEUE_NAME));
    return startProcesses({ DATABASE_URL: url, ENCRYPTION_KEY, ...queue }, ['api', 'worker']);
  }

  async function load(api: ServerProcess, urls: readonly string[], perSecond: number) {
    const { id, token } = await api.createAccount();
    const destinationIds: string[] = [];
    for (const url of urls) {
      destinationIds.push(await api.createDestination(id, url));
    }
    const [good = ''] = destinationIds;
    return { good, posted: postAtRate({ ingest: api.urls.ingest, token, perSecond, seconds: SECONDS }) };
  }

  test.each([
    ['SQLite', () => startProcesses({}, [''])],
    ['PostgreSQL', () => startOnServices({})],
    ['PostgreSQL and RabbitMQ', () => startOnServices({ QUEUE_URL: TEST_QUEUE_URL ?? '', QUEUE_NAME })],
  ])(
    'on %s: the memory stays level, every event is accepted, and the good destinations get them all',
    async (where, start) => {
      const { api, pids } = await start();
      const samples: number[] = [];
      const timer = setInterval(() => samples.push(residentMiB(pids)), SAMPLE_MS);
      const loads = [
        await load(api, [destinations.goodUrl('good')], GOOD_PER_SECOND),
        await load(api, [destinations.goodUrl('among-bad'), ...destinations.badUrls], MIXED_PER_SECOND),
      ];
      const results = await Promise.all(loads.map(({ posted }) => posted));
      clearInterval(timer);
      for (const { good } of loads) {
        // Counts end at 10,000, so the successes are what is neither pending nor failed.
        const { pending, failed } = await drained(api, good);
        expect([pending.totalCount, failed.totalCount]).toEqual([0, 0]);
      }
      const [, second, , last] = quarters(samples);
      const accepted = results.reduce((sum, result) => sum + result.accepted, 0);
      report(`soak on ${where}`, { accepted, secondQuarterMiB: second, lastQuarterMiB: last });
      expect(results.map(({ refused }) => refused)).toEqual([0, 0]);
      expect(last).toBeLessThan((second ?? 0) + GROWTH_MIB_MAX);
    },
    SECONDS * 2000 + 2 * STALLED_MS,
  );
});

/** Waits until nothing is pending, for as long as that comes nearer. */
async function drained(api: ServerProcess, id: string) {
  const ask = async () => (await api.data(DELIVERIES, { id })).destination;
  for (let seen = await ask(); ; ) {
    const before = countOf(seen);
    if (before === 0) {
      return seen;
    }
    seen = await api.eventually(ask, (now) => countOf(now) < before, STALLED_MS);
  }
}

/** Counts above 10,000 are null. */
function countOf({ pending }: { pending: { totalCount: number | null } }): number {
  return pending.totalCount ?? Number.POSITIVE_INFINITY;
}

/** The least that was held in each quarter of the time: what is left when the garbage has been collected. */
function quarters(samples: readonly number[]): number[] {
  const length = Math.floor(samples.length / 4);
  return [0, 1, 2, 3].map((quarter) =>
    Math.round(Math.min(...samples.slice(quarter * length, (quarter + 1) * length))),
  );
}
