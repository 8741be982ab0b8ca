import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Intruder } from '../support/intruder.ts';
import { heldAnswers, type Sent, sendOne, settled } from '../support/outbox.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const TABLES = ['account', 'destination', 'event', 'delivery', 'attempt', 'queue'];

let app: TestApp;
let database: Intruder;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '50ms,50ms' }, { cleaning: { graceMs: 0, lookMs: 1 } });
  database = await app.intrude();
});

afterAll(async () => {
  await database.close();
  await app.stop();
});

async function rowCounts(): Promise<number[]> {
  const counts: number[] = [];
  for (const table of TABLES) {
    counts.push(await database.rowCount(table));
  }
  return counts;
}

/** The rows of what was deleted are removed behind. */
async function expectRows(expected: readonly number[], from = 0): Promise<void> {
  const ask = async () => {
    // Counting would hold up the server, which is in this process.
    await setImmediate();
    return (await rowCounts()).slice(from);
  };
  await app.eventually(ask, (counts) => isDeepStrictEqual(counts, expected));
}

async function deleteAccount(id: string): Promise<void> {
  const { deleteAccount: answered } = await app.data('mutation ($id: ID!) { deleteAccount(id: $id) }', { id });
  expect(answered).toBe(id);
}

async function deleteDestination(id: string): Promise<void> {
  const { deleteDestination: answered } = await app.data('mutation ($id: ID!) { deleteDestination(id: $id) }', { id });
  expect(answered).toBe(id);
}

async function lookUp({ accountId, destinationId, eventId, deliveryId }: Sent): Promise<Record<string, unknown>> {
  const query = `query ($a: ID!, $x: ID!, $e: ID!, $d: ID!) {
    account(id: $a) { id } destination(id: $x) { id } event(id: $e) { deliveries { id } } delivery(id: $d) { id }
  }`;
  return app.data(query, { a: accountId, x: destinationId, e: eventId, d: deliveryId });
}

describe('deleting an account', () => {
  test('deletes all that is its own and nothing else', async () => {
    await using receiver = await Receiver.start();
    const kept = await sendOne(app, receiver.url());
    await settled(app, kept.deliveryId, 'SUCCEEDED');
    const before = await rowCounts();
    const gone = await sendOne(app, receiver.url());
    await settled(app, gone.deliveryId, 'SUCCEEDED');
    expect(await rowCounts()).toEqual(before.map((count, table) => count + (TABLES[table] === 'queue' ? 0 : 1)));
    await deleteAccount(gone.accountId);
    expect(await lookUp(gone)).toEqual({ account: null, destination: null, event: null, delivery: null });
    await expectRows(before);
    expect(await lookUp(gone)).toEqual({ account: null, destination: null, event: null, delivery: null });
    expect(await lookUp(kept)).toMatchObject({ account: { id: kept.accountId }, delivery: { id: kept.deliveryId } });
  });

  test('a second time is NOT_FOUND', async () => {
    const { id } = await app.createAccount();
    await deleteAccount(id);
    const { errors } = await app.graphql('mutation ($id: ID!) { deleteAccount(id: $id) }', { id });
    expect(errors?.[0]?.extensions).toEqual({ code: 'NOT_FOUND' });
  });
});

describe('deleting a destination', () => {
  test('deletes its deliveries and attempts, and keeps the event and what went elsewhere', async () => {
    await using receiver = await Receiver.start();
    const { id, token } = await app.createAccount();
    const gone = await app.createDestination(id, receiver.url('/gone'));
    const kept = await app.createDestination(id, receiver.url('/kept'));
    const eventId = await app.sendAccepted(token, '{}');
    const query = 'query ($id: ID!) { event(id: $id) { payloadText deliveries { id destination { id } status } } }';
    await app.eventually(
      async () => (await app.data(query, { id: eventId })).event.deliveries,
      (all) => all.every(({ status }: { status: string }) => status === 'SUCCEEDED'),
    );
    const before = await rowCounts();
    await deleteDestination(gone);
    const [accounts, destinations, events, deliveries, attempts] = before as [number, number, number, number, number];
    const { event } = await app.data(query, { id: eventId });
    expect(event.deliveries).toMatchObject([{ destination: { id: kept } }]);
    await expectRows([accounts, destinations - 1, events, deliveries - 1, attempts - 1, 0]);
    const { event: next } = await app.data(query, { id: await app.sendAccepted(token, '{}') });
    await settled(app, next.deliveries[0].id, 'SUCCEEDED');
    expect(receiver.received.filter(({ target }) => target === '/gone')).toHaveLength(1);
  });
});

describe('after a deletion nothing more is sent or recorded', () => {
  const deletions: [title: string, remove: (sent: Sent) => Promise<void>][] = [
    ['account', ({ accountId }) => deleteAccount(accountId)],
    ['destination', ({ destinationId }) => deleteDestination(destinationId)],
  ];

  test.each(deletions)('a request under way when its %s goes is not recorded', async (_title, remove) => {
    const { answer, release } = heldAnswers();
    await using receiver = await Receiver.start(answer);
    const [, , , ...deliveriesAndAttempts] = await rowCounts();
    const sent = await sendOne(app, receiver.url());
    await receiver.arrived(1);
    await remove(sent);
    release();
    await deliverElsewhere();
    await expectRows(deliveriesAndAttempts, 3);
  });

  test.each(deletions)('a retry that waits when its %s goes is not made', async (_title, remove) => {
    await using receiver = await Receiver.start((response) => response.writeHead(500).end());
    const sent = await sendOne(app, receiver.url());
    await receiver.arrived(1);
    await remove(sent);
    const requests = receiver.received.length;
    // As many attempts as the schedule has, made by another destination meanwhile: the retry's time is over then.
    await failElsewhere();
    expect(receiver.received.length).toBeLessThanOrEqual(requests + 1);
    const afterwards = receiver.received.length;
    await failElsewhere();
    expect(receiver.received).toHaveLength(afterwards);
  });
});

/** Whatever was to be recorded before is recorded once this is. */
async function deliverElsewhere(): Promise<void> {
  await using receiver = await Receiver.start();
  const sent = await sendOne(app, receiver.url());
  await settled(app, sent.deliveryId, 'SUCCEEDED');
  await deleteAccount(sent.accountId);
}

async function failElsewhere(): Promise<void> {
  await using receiver = await Receiver.start((response) => response.writeHead(500).end());
  const sent = await sendOne(app, receiver.url());
  await settled(app, sent.deliveryId, 'FAILED');
  await deleteAccount(sent.accountId);
}
