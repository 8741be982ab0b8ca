import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import { loadVault } from '../../src/config/key-file.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { PROGRAM, type ServerProcess } from '../support/server-process.ts';
import { describeWhere } from '../support/requirement.ts';
import { DELIVERED, NOW, StoreFixture } from '../support/store-fixture.ts';
import { Workbench } from '../support/workbench.ts';

/** More than two batches. */
const EVENTS = 1_200;
const LEASE_MS = 3_600_000;
const HEADERS = { 'X-Zulu': 'z', 'x-alpha': ['2', '1'], 'X-MIKE': 'é "quoted"' };
const FAILED = { ...DELIVERED, statusCode: 500, error: 'HTTP_STATUS', responseBody: null } as const;

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('the command "migrate-store"', () => {
  let bench: Workbench;
  let target: TemporaryDatabase;

  beforeEach(async () => {
    bench = new Workbench();
    target = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
  });
  afterEach(async () => {
    await bench.clear();
    await target.drop();
  });

  const copy = (to = target.url): ServerProcess =>
    bench.spawn(
      {},
      { command: [process.execPath, PROGRAM, 'migrate-store', '--from', `sqlite:${bench.databasePath}`, '--to', to] },
    );
  const vault = () => loadVault({ encryptionKeys: [], database: { type: 'sqlite', path: bench.databasePath } });
  const source = () => openStorage({ type: 'sqlite', path: bench.databasePath }, vault());
  const copied = () => openStorage({ type: 'postgresql', url: target.url }, vault());

  test('copies everything as it is, even when it is killed and run again, and what was pending is delivered', async () => {
    const receiver = await bench.receiver();
    const { accountId, pending, leased } = await using(source(), (storage) => fill(storage, receiver.url()));
    await using(copied(), async () => {});
    await killHalfway(copy, target.url);
    expect(await using(copied(), (storage) => storage.reads(EVERYTHING).events.eventCountOf(accountId))).toBe(EVENTS);

    for (const round of ['goes on', 'has nothing to do']) {
      const again = copy();
      expect([round, await again.exited, again.stderr]).toEqual([round, { code: 0, signal: null }, '']);
      expect(again.stdout).toContain(`event: ${EVENTS} in the source, ${EVENTS} in the target\n`);
      expect(again.stdout).toContain(`open with the key in ${bench.databasePath}.key:`);
      expect(again.stdout).toContain('\nBoth databases hold the same.\n');
    }
    const before = await using(source(), (storage) => everythingOf(storage, accountId));
    expect(await using(copied(), (storage) => everythingOf(storage, accountId))).toEqual(before);
    expect(before.events).toHaveLength(EVENTS);

    const ENCRYPTION_KEY = readFileSync(`${bench.databasePath}.key`, 'utf8').trim();
    const server = await bench.start({ DATABASE_URL: target.url, ENCRYPTION_KEY });
    const received = await receiver.arrived(pending + leased);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(pending + leased);
    expect(received[0]?.rawHeaders.join('\n')).toContain('X-Zulu\nz\nx-alpha\n2\nx-alpha\n1\nX-MIKE\n');
    expect(await server.end()).toEqual({ code: 0, signal: null });
  }, 120_000);

  test('refuses a source that is served, and leaves it alone', async () => {
    const server = await bench.start();
    const refused = copy();
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^[^\n]* in use by another Data Pusher process\.\n$/u);
    expect((await fetch(`${server.urls.health}/ready`)).ok).toBe(true);
  });

  test('says so when the source was used between two runs, because what it copied is stale', async () => {
    const ticket = await using(source(), (storage) => new StoreFixture(() => storage).ticket());
    expect(await copy().exited).toEqual({ code: 0, signal: null });
    await using(source(), (storage) => storage.deliveries.claim({ ticket, leaseMs: LEASE_MS, blame: 1 }));
    const again = copy();
    expect(await again.exited).toEqual({ code: 1, signal: null });
    expect(again.stderr).toMatch(/^The two databases differ[^\n]*\n$/u);
  });

  test('says so when the target has rows that the source has not', async () => {
    await using(source(), (storage) => new StoreFixture(() => storage).account(1));
    await using(copied(), (storage) => new StoreFixture(() => storage).account(0));
    const program = copy();
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.stdout).toContain('account: 1 in the source, 2 in the target\n');
  });

  test('refuses a source that does not exist, and makes no file in its place', async () => {
    const program = copy();
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/^--from names [^\n]*, which does not exist\.\n$/u);
    expect((await copy().exited).code).toBe(1);
  });
});

async function using<Result>(opening: Promise<Storage>, use: (storage: Storage) => Promise<Result>): Promise<Result> {
  const storage = await opening;
  try {
    return await use(storage);
  } finally {
    await storage.close();
  }
}

/** One account with deliveries in every state there is; one destination nobody is to call. */
async function fill(storage: Storage, url: string) {
  const fixture = new StoreFixture(() => storage);
  const { id: accountId, token } = await fixture.account(0);
  await fixture.destination(accountId, url, HEADERS);
  const payloads = Array.from({ length: EVENTS }, (_, index) =>
    Buffer.from(`{"é\\u0000": ${index}.0, "a": 1, "a": 2}`),
  );
  const tickets = (await Promise.all(payloads.map((payload) => fixture.event(token, NOW, payload)))).flat();
  const [finished, failed, waiting, leased] = [0, 300, 600, 900].map((from) => tickets.slice(from, from + 300));
  await attempt(storage, finished, DELIVERED, { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW + 7 });
  await attempt(storage, failed, FAILED, { status: 'FAILED', retryInMs: null, completedAt: NOW + 8 });
  await attempt(storage, waiting?.slice(0, 100), FAILED, { status: 'PENDING', retryInMs: LEASE_MS, completedAt: null });
  await Promise.all((leased ?? []).map((ticket) => storage.deliveries.claim({ ticket, leaseMs: LEASE_MS, blame: 1 })));
  return { accountId, pending: 200, leased: 300 };
}

async function attempt(
  storage: Storage,
  tickets: readonly Ticket[] = [],
  outcome: Parameters<Storage['deliveries']['record']>[0]['outcome'],
  state: Parameters<Storage['deliveries']['record']>[0]['state'],
): Promise<void> {
  await Promise.all(
    tickets.map(async (ticket) => {
      await storage.deliveries.claim({ ticket, leaseMs: LEASE_MS, blame: 1 });
      const responseBody = outcome.responseBody && Buffer.from([0, 255, 10, 13, ...Buffer.from(ticket.deliveryId)]);
      const record = {
        deliveryId: ticket.deliveryId,
        attempt: 1,
        destinationVersion: 1,
        place: null,
        outcome: { ...outcome, responseBody },
        state,
      };
      expect((await storage.deliveries.record(record)).isRecorded).toBe(true);
    }),
  );
}

/** As the read models tell it. */
async function everythingOf(storage: Storage, accountId: string) {
  const { accounts, events, deliveries } = storage.reads(EVERYTHING);
  const page = await events.eventsOf(accountId, { first: EVENTS + 1, after: undefined });
  const destinations = await accounts.destinationsOf(accountId);
  return {
    account: plain(await accounts.account(accountId)),
    destinations: destinations.map((one) => [plain(one), storage.vault.open(one.sealedHeaders, accountId)]),
    events: await Promise.all(
      page.rows.map(async (event) => ({
        event: plain(event),
        payload: await events.payload(event.id),
        deliveries: await Promise.all(
          (await deliveries.deliveriesOfEvent(event.id)).map(async (delivery) => ({
            delivery: plain(delivery),
            attempts: await Promise.all(
              (await deliveries.attemptsOf(delivery.id)).map(async (one) => [
                plain(one),
                await deliveries.responseBodyOf(one),
              ]),
            ),
          })),
        ),
      })),
    ),
  };
}

function plain(entity: object | undefined): unknown {
  return JSON.parse(JSON.stringify(entity));
}

/** Kills a copy that has all events, and waits to write the deliveries. */
async function killHalfway(copy: () => ServerProcess, url: string): Promise<void> {
  const orm = await MikroORM.init({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } });
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  try {
    await database.transaction().execute(async (transaction) => {
      await sql`lock table delivery in exclusive mode`.execute(transaction);
      const program = copy();
      await program.said(/^event: /mu);
      expect(await program.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
      expect(program.stdout).not.toContain('delivery: ');
    });
  } finally {
    await orm.close(true);
  }
}
