import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseDatabaseUrl } from '../../src/config/config.ts';
import { EVERYTHING } from '../../src/core/scope.ts';
import { Vault } from '../../src/core/vault.ts';
import { sqliteMigrations } from '../../src/storage/migrations/sqlite/index.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import {
  EARLIER_KEY,
  type EarlierDatabase,
  type LeftDelivery,
  restorePostgresql,
  restoreSqlite,
} from '../support/earlier-version.ts';
import { TEST_DATABASE_URL } from '../support/postgresql.ts';
import { type Answer, Receiver } from '../support/receiver.ts';
import { ServerProcess } from '../support/server-process.ts';
import { signaturesOf } from '../support/verification.ts';

const SQLITE = { name: 'SQLite', restore: restoreSqlite };
const POSTGRESQL = { name: 'PostgreSQL', restore: restorePostgresql };
/** What version 0.1 had applied. */
const EARLIER_MIGRATIONS = 2;
const DELIVERY =
  'id status attemptCount nextAttemptAt completedAt attempts { number statusCode error responseBody } event { id }';

/** As it used to be: what fails goes on failing. */
const answerByPath: Answer = (response, { target }) => {
  response.writeHead(target === '/waiting' ? 503 : 200).end('ok');
};

function seen(app: ServerProcess, { id }: { readonly id: string }): Promise<unknown> {
  return app
    .data(`query ($id: ID!) { delivery(id: $id) { ${DELIVERY} } }`, { id })
    .then(({ delivery: { event, ...delivery } }) => ({ ...delivery, eventId: event.id }));
}

function settled(app: ServerProcess, id: string): Promise<{ status: string; attempts: { number: number }[] }> {
  const ask = async () => (await app.data(`{ delivery(id: "${id}") { ${DELIVERY} } }`)).delivery;
  return app.eventually(ask, ({ status }) => status !== 'PENDING');
}

const backends = TEST_DATABASE_URL === undefined ? [SQLITE] : [SQLITE, POSTGRESQL];
describe.each(backends)('a database of version 0.1 on $name', ({ name, restore }) => {
  let receiver: Receiver;
  let earlier: EarlierDatabase;
  let server: ServerProcess | undefined;

  beforeEach(async () => {
    receiver = await Receiver.start(answerByPath);
    earlier = await restore('0.1', receiver.url('').replace(/\/$/u, ''));
  });

  afterEach(async () => {
    await server?.end();
    server = undefined;
    await receiver.stop();
    await earlier.drop();
  });

  async function start(variables: Record<string, string> = {}): Promise<ServerProcess> {
    server = new ServerProcess({
      PORT: '0',
      LOG_LEVEL: 'warn',
      SHUTDOWN_DELAY: '0s',
      ENCRYPTION_KEY: EARLIER_KEY,
      DATABASE_URL: earlier.url,
      ...variables,
    });
    return server.ready();
  }

  function leftAt(path: string, status?: LeftDelivery['status']): LeftDelivery[] {
    return earlier.left.filter((one) => one.path === path && (status === undefined || one.status === status));
  }

  test('has deliveries in every state that there is', () => {
    const { left } = earlier;
    const now = new Date().toISOString();
    expect(new Set(left.map(({ status }) => status))).toEqual(new Set(['PENDING', 'SUCCEEDED', 'FAILED']));
    const pending = left.filter(({ status }) => status === 'PENDING');
    expect(pending).toContainEqual(expect.objectContaining({ path: '/held', attemptCount: 1, attempts: [] }));
    expect(pending).toContainEqual(expect.objectContaining({ path: '/held', attemptCount: 0 }));
    expect(pending).toContainEqual(expect.objectContaining({ path: '/gone', attemptCount: 0 }));
    expect(pending.filter(({ nextAttemptAt }) => (nextAttemptAt ?? '') > now).map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/waiting', '/failing']),
    );
  });

  test('is migrated when it is opened, and has every delivery with its attempts', async () => {
    const vault = new Vault([Buffer.from(EARLIER_KEY, 'base64')]);
    const storage = await openStorage(parseDatabaseUrl('DATABASE_URL', earlier.url), vault);
    try {
      expect(storage.migrated).toEqual(sqliteMigrations.slice(EARLIER_MIGRATIONS).map((migration) => migration.name));
      const { deliveries } = storage.reads(EVERYTHING);
      for (const { id, status, attemptCount, completedAt, attempts } of earlier.left) {
        const delivery = await deliveries.delivery(id);
        expect(delivery).toMatchObject({ status, attemptCount });
        expect(delivery?.completedAt?.toISOString() ?? null).toBe(completedAt);
        const carried = await deliveries.attemptsOf(id);
        expect(carried.map(({ number, statusCode }) => ({ number, statusCode }))).toEqual(
          attempts.map(({ number, statusCode }) => ({ number, statusCode })),
        );
      }
    } finally {
      await storage.close();
    }
  });

  if (name === POSTGRESQL.name) {
    test('shows every delivery as it was left, before a worker comes', async () => {
      const app = await start({ ROLES: 'api' });
      for (const { path: _, ...left } of earlier.left) {
        expect(await seen(app, left)).toEqual(left);
      }
    });
  }

  test('has what was due delivered once, also what a killed worker held, and leaves the rest as it was', async () => {
    const app = await start();
    const due = leftAt('/held');
    for (const { id, attemptCount } of due) {
      expect(await settled(app, id)).toMatchObject({
        status: 'SUCCEEDED',
        attemptCount: attemptCount + 1,
        attempts: [{ number: attemptCount + 1, statusCode: 200, error: null, responseBody: 'ok' }],
      });
    }
    expect(receiver.received.map(({ target, body }) => `${target} ${String(body)}`).toSorted()).toEqual(
      due.map((_, index) => `/held {"held":${index + 1}}`),
    );
    for (const { path: _, ...left } of earlier.left.filter(({ path }) => path !== '/held')) {
      expect(await seen(app, left)).toEqual(left);
    }
  });

  test('has its failed deliveries retried, with their attempts kept and counted on', async () => {
    const app = await start();
    const [failed] = leftAt('/failing', 'FAILED');
    await app.data(`mutation { retryDelivery(id: "${failed?.id}") { id } }`);
    const { status, attempts } = await settled(app, failed?.id ?? '');
    expect(status).toBe('SUCCEEDED');
    expect(attempts.slice(0, -1)).toEqual(failed?.attempts);
    expect(attempts.at(-1)).toMatchObject({ number: 3, statusCode: 200 });
  });

  test('has what waits for its time pending: a manual retry of it is a conflict', async () => {
    const app = await start();
    for (const { id } of [...leftAt('/waiting'), ...leftAt('/failing', 'PENDING')]) {
      const { errors } = await app.graphql(`mutation { retryDelivery(id: "${id}") { id } }`);
      expect(errors?.[0]?.extensions.code).toBe('CONFLICT');
    }
  });

  test('has what waits at a destination that was gone delivered once it is enabled', async () => {
    const app = await start();
    const waiting = leftAt('/gone', 'PENDING');
    const { delivery } = await app.data(`{ delivery(id: "${waiting[0]?.id}") { destination { id disabledAt } } }`);
    expect(delivery.destination.disabledAt).not.toBeNull();
    await app.data(`mutation { updateDestination(id: "${delivery.destination.id}", input: { enabled: true }) { id } }`);
    for (const { id } of waiting) {
      expect(await settled(app, id)).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1 });
    }
  });

  test('knows tokens, idempotency keys, payloads, headers and both secrets of an overlap', async () => {
    const app = await start();
    const { accounts } = await app.data(
      '{ accounts { nodes { name email appSecretToken events { nodes { id payloadText } } } } }',
    );
    const accountOf = (email: string) => accounts.nodes.find((account: { email: string }) => account.email === email);
    const alpha = accountOf('alpha@example.com');
    const payloads = alpha.events.nodes.map(({ payloadText }: { payloadText: string }) => payloadText);
    expect(payloads).toEqual(['{"number":12345678901234567890,"ratio":1.0,"text":"Grüße"}', '{"order":1}']);

    const again = await app.send(alpha.appSecretToken, '{"order":1}', { 'Idempotency-Key': 'order-1' });
    expect(await again.json()).toMatchObject({ eventId: alpha.events.nodes[1].id, deliveries: 2, duplicate: true });

    await app.sendAccepted(alpha.appSecretToken, '{"new":1}');
    await app.sendAccepted(accountOf('gamma@example.com').appSecretToken, '{"new":2}');
    // What is due of old, and each new event at both destinations of its account.
    const received = await receiver.arrived(leftAt('/held').length + 4);
    const arrivedAt = (path: string) => received.find(({ target }) => target.split('?')[0] === path);
    expect(arrivedAt('/hook')?.rawHeaders.join(' ')).toMatch(/X-First 1 x-many a x-many b Authorization Bearer/u);
    expect(arrivedAt('/query')).toMatchObject({ method: 'GET', target: '/query?new=1' });
    expect(signaturesOf(arrivedAt('/rotated') as never)).toHaveLength(2);
  });
});
