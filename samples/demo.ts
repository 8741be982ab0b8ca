/**
 * `npm run demo`: one event from end to end. Starts the server on a temporary database, with destinations of its own,
 * posts one event, and shows what each destination got and what the server recorded. Ends with status 0 only if
 * everything arrived as it should.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sendEvent } from './client.ts';
import { DemoServer } from './demo-server.ts';
import { type Arrival, describe, isSigned, startReceiver, urlOf } from './receiver.ts';

/** More digits than JavaScript can hold, and a zero that it would drop: both arrive as they were sent. */
const EVENT = '{"type": "order.paid", "order": 20260115000000000001, "total": 129.90, "customer": {"name": "Zoë"}}';
const DELIVERED_WITHIN_MS = 20_000;
/** How often the flaky destination refuses before it recovers. */
const REFUSALS = 2;

interface RouteShown {
  readonly outcome: string;
  readonly path: string | null;
  readonly destination: { readonly name: string };
}

interface DeliveryShown {
  readonly status: string;
  readonly destination: { readonly url: string };
  readonly attempts: readonly {
    readonly number: number;
    readonly statusCode: number | null;
    readonly error: string | null;
    readonly durationMs: number;
  }[];
}

const cleanUps: (() => Promise<void> | void)[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
}
try {
  await demo();
  console.log('\nEverything arrived as it should.');
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function demo(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'data-pusher-demo-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  const server = await DemoServer.start({
    DATABASE_URL: `sqlite:${join(folder, 'demo.db')}`,
    RETRY_SCHEDULE: '200ms,200ms',
  });
  cleanUps.push(() => server.stop());

  const arrivals: Arrival[] = [];
  const receiver = await startReceiver(0, (arrival) => {
    arrivals.push(arrival);
    const isRefused = arrival.target === '/flaky' && at(arrivals, '/flaky').length <= REFUSALS;
    return isRefused ? 500 : 200;
  });
  cleanUps.push(() => stopReceiver(receiver));

  const { accountId, token } = await createAccount(server);
  const getSecret = await createDestination(server, {
    accountId,
    url: `${urlOf(receiver)}/get?from=demo`,
    httpMethod: 'GET',
    headers: { Authorization: 'Bearer get-secret' },
  });
  const postSecret = await createDestination(server, {
    accountId,
    url: `${urlOf(receiver)}/post`,
    httpMethod: 'POST',
    eventTypes: ['order.*'],
    headers: { APP_ID: '1234APPID1234', APP_SECRET: 'post-secret', Accept: '*/*' },
  });
  await createDestination(server, {
    accountId,
    url: `${urlOf(receiver)}/flaky`,
    httpMethod: 'PUT',
    headers: { 'X-Tag': ['one', 'two'] },
    filter: { total: { $gte: 100 } },
  });
  await createDestination(server, {
    accountId,
    url: `${urlOf(receiver)}/transformed`,
    httpMethod: 'POST',
    headers: { Accept: '*/*' },
    transform: '{ "text": customer.name & " paid " & $formatNumber(total, "0.00") }',
  });
  const unasked = { accountId, url: `${urlOf(receiver)}/unasked`, httpMethod: 'POST', headers: { Accept: '*/*' } };
  await createDestination(server, { ...unasked, name: 'refunds only', eventTypes: ['refund.*'] });
  await createDestination(server, { ...unasked, name: 'large orders only', filter: { total: { $gte: 1_000 } } });

  console.log(`\nPosting ${EVENT}`);
  const { eventId, deliveries } = await sendEvent(EVENT, { url: server.ingestUrl, token });
  console.log(`Accepted as event ${eventId}, for ${deliveries} destinations.`);
  const recorded = await untilDelivered(server, eventId);
  const skipped = await skippedBy(server, eventId);

  show('The GET destination received', at(arrivals, '/get'));
  show('The POST destination received', at(arrivals, '/post'));
  show(`The flaky PUT destination, which refuses ${REFUSALS} times, received`, at(arrivals, '/flaky'));
  show('The destination with a transformation received', at(arrivals, '/transformed'));
  showRecord(recorded, skipped);
  checkArrivals(arrivals);
  checkSignature(at(arrivals, '/get'), getSecret);
  checkSignature(at(arrivals, '/post'), postSecret);
  checkRecord(recorded);
  checkSkipped(skipped);
}

function at(arrivals: readonly Arrival[], path: string): Arrival[] {
  return arrivals.filter(({ target }) => target.startsWith(path));
}

function show(title: string, arrivals: readonly Arrival[]): void {
  console.log(`\n${title}\n${arrivals.map(describe).join('\n\n')}`);
}

function showRecord(recorded: readonly DeliveryShown[], skipped: readonly RouteShown[]): void {
  console.log('\nThe server has recorded');
  for (const { destination, status, attempts } of recorded) {
    console.log(`  ${destination.url}: ${status}`);
    for (const { number, statusCode, error, durationMs } of attempts) {
      console.log(
        `    attempt ${number}: ${statusCode ?? 'no answer'}${error ? ` (${error})` : ''} in ${durationMs} ms`,
      );
    }
  }
  for (const { destination, outcome, path } of skipped) {
    console.log(`  ${destination.name}: ${outcome}${path === null ? '' : ` by its filter on "${path}"`}`);
  }
}

function headerOf(arrival: Arrival | undefined, wanted: string): string[] {
  return (arrival?.headers ?? []).filter(([name]) => name === wanted).map(([, value]) => value);
}

function checkArrivals(arrivals: readonly Arrival[]): void {
  const [get, ...moreGets] = at(arrivals, '/get');
  assert.deepEqual(moreGets, []);
  assert.equal(get?.method, 'GET');
  assert.equal(
    get.target,
    `/get?from=demo&type=order.paid&order=20260115000000000001&total=129.90&customer=${encodeURIComponent('{"name": "Zoë"}')}`,
  );
  assert.equal(get.body, '');
  assert.deepEqual(headerOf(get, 'Authorization'), ['Bearer get-secret']);

  const [post, ...morePosts] = at(arrivals, '/post');
  assert.deepEqual(morePosts, []);
  assert.equal(post?.method, 'POST');
  assert.equal(post.body, EVENT);
  assert.deepEqual(headerOf(post, 'APP_SECRET'), ['post-secret']);
  assert.deepEqual(headerOf(post, 'Content-Type'), ['application/json']);

  assert.deepEqual(
    at(arrivals, '/transformed').map(({ body }) => body),
    ['{"text":"Zoë paid 129.90"}'],
  );

  const flaky = at(arrivals, '/flaky');
  assert.equal(flaky.length, REFUSALS + 1);
  assert.deepEqual(at(arrivals, '/unasked'), []);
  assert.ok(flaky.every(({ method, body }) => method === 'PUT' && body === EVENT));
  assert.deepEqual(headerOf(flaky[0], 'X-Tag'), ['one', 'two']);
  assert.equal(new Set(flaky.map((arrival) => headerOf(arrival, 'webhook-id')[0])).size, 1);
}

function checkSignature([arrival]: readonly Arrival[], secret: string): void {
  assert.ok(arrival !== undefined && isSigned(arrival, secret));
}

function checkRecord(deliveries: readonly DeliveryShown[]): void {
  assert.deepEqual(
    deliveries.map(({ status }) => status),
    ['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED'],
  );
  assert.deepEqual(
    deliveries.map(({ attempts }) => attempts.map(({ statusCode }) => statusCode)),
    [[200], [200], [500, 500, 200], [200]],
  );
}

function checkSkipped(skipped: readonly RouteShown[]): void {
  assert.deepEqual(
    skipped.map(({ outcome, path }) => [outcome, path]),
    [
      ['TYPE_MISMATCH', null],
      ['FILTERED', 'total'],
    ],
  );
}

async function createAccount(server: DemoServer): Promise<{ accountId: string; token: string }> {
  const { createAccount: account } = await server.graphql<{ createAccount: { id: string; appSecretToken: string } }>(
    sample('create-account'),
    { input: { email: 'demo@example.com', name: 'Demo', website: 'hello.com', eventTypePath: 'type' } },
  );
  console.log(`Created account ${account.id}.`);
  return { accountId: account.id, token: account.appSecretToken };
}

/** @returns the secret that its deliveries are signed with. */
async function createDestination(server: DemoServer, input: Record<string, unknown>): Promise<string> {
  const { createDestination: destination } = await server.graphql<{ createDestination: { signingSecret: string } }>(
    sample('create-destination'),
    { input },
  );
  console.log(`Created destination ${String(input['httpMethod'])} ${String(input['url'])}.`);
  return destination.signingSecret;
}

async function untilDelivered(server: DemoServer, id: string): Promise<readonly DeliveryShown[]> {
  const query = `query ($id: ID!) {
    event(id: $id) {
      deliveries { status destination { url } attempts { number statusCode error durationMs } }
    }
  }`;
  for (const deadline = Date.now() + DELIVERED_WITHIN_MS; Date.now() < deadline; await delay(50)) {
    const { event } = await server.graphql<{ event: { deliveries: readonly DeliveryShown[] } }>(query, { id });
    if (event.deliveries.every(({ status }) => status !== 'PENDING')) {
      return event.deliveries;
    }
  }
  throw new Error(`The event was not delivered within ${DELIVERED_WITHIN_MS} ms.`);
}

/** The routes of the destinations that did not get the event. */
async function skippedBy(server: DemoServer, id: string): Promise<readonly RouteShown[]> {
  const query = 'query ($id: ID!) { event(id: $id) { routes { outcome path destination { name } } } }';
  const { event } = await server.graphql<{ event: { routes: readonly RouteShown[] } }>(query, { id });
  return event.routes.filter(({ outcome }) => outcome !== 'ROUTED');
}

function sample(name: string): string {
  return readFileSync(new URL(`graphql/${name}.graphql`, import.meta.url), 'utf8');
}

async function stopReceiver(receiver: Server): Promise<void> {
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
}

async function cleanUp(): Promise<void> {
  for (const release of cleanUps.splice(0).toReversed()) {
    await release();
  }
}
