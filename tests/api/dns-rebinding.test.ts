import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ConnectionCounter } from '../support/connection-counter.ts';
import { DnsServer } from '../support/dns-server.ts';
import { TestApp } from '../support/test-app.ts';

/** May be called, as an address of the internet might be, and is one that this machine answers at. */
const GOOD = '127.0.0.2';
const EVENTS = 1_000;

const QUERY = `query ($id: ID!, $after: String) { destination(id: $id) { deliveries(first: 100, after: $after) {
  nodes { status attempts { error statusCode } } pageInfo { hasNextPage endCursor }
} } }`;

interface Delivery {
  readonly status: string;
  readonly attempts: readonly { readonly error: string | null; readonly statusCode: number | null }[];
}

interface Page {
  readonly destination: {
    readonly deliveries: {
      readonly nodes: readonly Delivery[];
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
    };
  };
}

let app: TestApp;
let dns: DnsServer;
let good: ConnectionCounter;
let loopback: ConnectionCounter[];

beforeAll(async () => {
  // Closing after each answer makes every delivery connect, and so look up, anew.
  good = await ConnectionCounter.start(GOOD, 0, (_request, response) =>
    response.writeHead(200, { Connection: 'close' }).end(),
  );
  loopback = await Promise.all(['127.0.0.1', '::1'].map((address) => ConnectionCounter.start(address, good.port)));
  let queries = 0;
  dns = await DnsServer.start((name, family) => {
    if (name.startsWith('flip-flop')) {
      queries += family === 4 ? 1 : 0;
      return family === 6 ? [] : [queries % 2 === 0 ? GOOD : '127.0.0.1'];
    }
    const mixed = name.startsWith('mixed') ? [GOOD] : ['127.0.0.3'];
    return family === 4 ? ['127.0.0.1', ...mixed, '0.0.0.0'] : ['::1', '::ffff:127.0.0.1'];
  });
  app = await TestApp.start(
    { ALLOW_DESTINATIONS: `${GOOD},127.0.0.3`, SENDER_THREADS: '0', RETRY_SCHEDULE: Array(30).fill('1ms').join() },
    { lookup: dns.lookup },
  );
});

afterAll(async () => {
  await app.stop();
  dns.close();
  await Promise.all([good, ...loopback].map((counter) => counter.stop()));
});

async function deliver(host: string, events: number): Promise<Delivery[]> {
  const { id: accountId, token } = await app.createAccount();
  const id = await app.createDestination(accountId, `http://${host}:${good.port}/`);
  for (let sent = 0; sent < events; sent += 100) {
    await Promise.all(Array.from({ length: Math.min(100, events - sent) }, () => app.sendAccepted(token, '{}')));
  }
  const query = 'query ($id: ID!) { destination(id: $id) { deliveries(status: PENDING) { totalCount } } }';
  await app.eventually(
    async () => (await app.data(query, { id })).destination.deliveries.totalCount,
    (pending) => pending === 0,
    120_000,
  );
  return deliveriesTo(id);
}

async function deliveriesTo(id: string): Promise<Delivery[]> {
  const all: Delivery[] = [];
  for (let after: string | null = null, more = true; more; ) {
    const { destination } = (await app.data(QUERY, { id, after })) as Page;
    all.push(...destination.deliveries.nodes);
    after = destination.deliveries.pageInfo.endCursor;
    more = destination.deliveries.pageInfo.hasNextPage;
  }
  return all;
}

function connectionsToLoopback(): number {
  return loopback.reduce((sum, { connections }) => sum + connections, 0);
}

test('of 1,000 deliveries to a name that flips to loopback every other time, none reaches loopback', async () => {
  const deliveries = await deliver('flip-flop.example', EVENTS);
  expect(connectionsToLoopback()).toBe(0);
  expect(deliveries.filter(({ status }) => status === 'SUCCEEDED')).toHaveLength(EVENTS);
  expect(good.requests).toBe(EVENTS);
  // The name did flip, and an attempt that met loopback was refused, told, and made again.
  expect(dns.answered.filter((address) => address === '127.0.0.1').length).toBeGreaterThan(EVENTS / 2);
  const errors = deliveries.flatMap(({ attempts }) => attempts.map(({ error }) => error));
  expect(errors.filter((error) => error === 'ADDRESS_REFUSED').length).toBeGreaterThan(EVENTS / 2);
  expect(new Set(errors)).toEqual(new Set([null, 'ADDRESS_REFUSED']));
}, 150_000);

test('of a name with good and bad addresses in one answer only the good one is called', async () => {
  const before = good.requests;
  const [delivery] = await deliver('mixed.example', 1);
  expect(delivery).toMatchObject({ status: 'SUCCEEDED', attempts: [{ error: null }] });
  expect(good.requests).toBe(before + 1);
  expect(connectionsToLoopback()).toBe(0);
});

test('when nobody listens at the good one, no other is tried', async () => {
  const [delivery] = await deliver('closed.example', 1);
  expect(delivery?.status).toBe('FAILED');
  expect(new Set(delivery?.attempts.map(({ error }) => error))).toEqual(new Set(['CONNECTION_REFUSED']));
  expect(connectionsToLoopback()).toBe(0);
});
