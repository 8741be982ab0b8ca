import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { numberedBatch, postBatch } from '../support/batch.ts';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const DAY_MS = 24 * 3_600_000;
const BATCH = '[{"a":1}, {"a":2}]';

let now = Date.UTC(2026, 0, 1);
let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({}, { clock: { now: () => now } });
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

interface Keyed {
  readonly token: string;
  readonly key: string;
  readonly body?: string | Buffer;
  readonly headers?: readonly string[];
  readonly type?: string;
}

function batch({ key, body = BATCH, headers = [], ...rest }: Keyed): Promise<RawAnswer> {
  return postBatch(app.urls, { ...rest, body, headers: ['Idempotency-Key', key, ...headers] });
}

function single({ token, key, body = '{"a":1}' }: Keyed): Promise<RawAnswer> {
  const headers = ['Content-Type', 'application/json', 'CL-X-TOKEN', token, 'Idempotency-Key', key];
  return exchange(app.urls.ingest, { headers, body });
}

async function storedOf(id: string): Promise<number> {
  const query = 'query ($id: ID!) { account(id: $id) { events { totalCount } } }';
  return (await app.data(query, { id })).account.events.totalCount;
}

const CONFLICT = { success: false, message: 'Conflict', detail: expect.stringMatching(/key/u) };

describe('a batch that is sent again with its key', () => {
  test('is answered like the first time, in order, and is stored and delivered once', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/once'), { filter: { number: { $lt: 3 } } });
    await app.createDestination(id, receiver.url('/once'), { filter: { number: { $gt: 97 } } });
    const body = numberedBatch(100);
    const first = await batch({ token, key: 'k', body });
    expect(first.status).toBe(202);
    expect(first.json.duplicate).toBeUndefined();
    expect(first.json.events.map(({ deliveries }: { deliveries: number }) => deliveries)).toEqual([
      ...Array(3).fill(1),
      ...Array(95).fill(0),
      ...Array(2).fill(1),
    ]);
    const second = await batch({ token, key: 'k', body });
    expect(second.status).toBe(202);
    expect(second.json).toEqual({ ...first.json, duplicate: true });
    expect(await storedOf(id)).toBe(100);
    const bodies = (await receiver.arrived(5)).map((received) => received.body.toString());
    expect(bodies.toSorted()).toEqual([0, 1, 2, 98, 99].map((number) => `{"number":${number}}`));
  });

  test('200 times at once: one batch, and everyone learns its ids', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/many'));
    const answers = await Promise.all(Array.from({ length: 200 }, () => batch({ token, key: 'many' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ json }) => JSON.stringify(json.events))).size).toBe(1);
    expect(answers.filter(({ json }) => json.duplicate !== true)).toHaveLength(1);
    expect(await storedOf(id)).toBe(2);
  });

  test('counts the deliveries that are left', async () => {
    const { id, token } = await app.createAccount();
    const destination = await app.createDestination(id, receiver.url('/left'));
    await app.createDestination(id, receiver.url('/left'));
    const first = await batch({ token, key: 'k' });
    await app.data('mutation ($id: ID!) { deleteDestination(id: $id) }', { id: destination });
    const second = await batch({ token, key: 'k' });
    const events = first.json.events.map(({ eventId }: { eventId: string }) => ({ eventId, deliveries: 1 }));
    expect(second.json).toMatchObject({ events, duplicate: true });
  });

  test('compressed is the same', async () => {
    const { token } = await app.createAccount();
    const first = await batch({ token, key: 'k' });
    const second = await batch({ token, key: 'k', body: gzipSync(BATCH), headers: ['Content-Encoding', 'gzip'] });
    expect(second.json).toEqual({ ...first.json, duplicate: true });
  });

  test.each([
    ['with other white space', '[{"a":1},{"a":2}]'],
    ['with another event', '[{"a":1}, {"a":3}]'],
    ['with one event less', '[{"a":1}]'],
  ])('%s is refused with 409, and nothing is stored', async (_title, body) => {
    const { id, token } = await app.createAccount();
    await batch({ token, key: 'k' });
    const answer = await batch({ token, key: 'k', body });
    expect([answer.status, answer.json]).toEqual([409, CONFLICT]);
    expect(await storedOf(id)).toBe(2);
  });

  test('with another type is refused with 409, also where only a later event has another', async () => {
    const { id, token } = await app.createAccount();
    const typed = (key: string, type?: string) =>
      batch({ token, key, body: '[{"t":"x"},{}]', headers: type === undefined ? [] : ['X-Event-Type', type] });
    await typed('k', 'x');
    expect((await typed('k', 'x')).json.duplicate).toBe(true);
    for (const type of ['y', undefined]) {
      const answer = await typed('k', type);
      expect([answer.status, answer.json]).toEqual([409, { ...CONFLICT, detail: expect.stringMatching(/type/u) }]);
    }
    const update = 'mutation ($id: ID!) { updateAccount(id: $id, input: { eventTypePath: "t" }) { id } }';
    await app.data(update, { id });
    expect((await typed('k')).status).toBe(409);
    expect(await storedOf(id)).toBe(2);
  });

  test('after 24 hours is a new batch, which has the key from then on', async () => {
    const { id, token } = await app.createAccount();
    const first = await batch({ token, key: 'k' });
    now += DAY_MS - 1;
    expect((await batch({ token, key: 'k' })).json).toEqual({ ...first.json, duplicate: true });
    now += 1;
    const next = await batch({ token, key: 'k', body: '[{"b":1}]' });
    expect([next.status, next.json.duplicate]).toEqual([202, undefined]);
    expect((await batch({ token, key: 'k', body: '[{"b":1}]' })).json).toEqual({ ...next.json, duplicate: true });
    expect((await batch({ token, key: 'k' })).status).toBe(409);
    now += DAY_MS;
    const event = await single({ token, key: 'k' });
    expect([event.status, event.json.duplicate]).toEqual([202, undefined]);
    expect((await single({ token, key: 'k' })).json).toEqual({ ...event.json, duplicate: true });
    expect(await storedOf(id)).toBe(4);
  });

  test('after a refusal is the first', async () => {
    const { token } = await app.createAccount();
    expect((await batch({ token, key: 'k', body: '[{},1]' })).status).toBe(400);
    expect((await batch({ token, key: 'k', body: '[{},{}]' })).json).not.toHaveProperty('duplicate');
  });
});

describe('a key that was used for the other kind is refused with 409', () => {
  test('the batch after the event, though it has the same bytes in it', async () => {
    const { id, token } = await app.createAccount();
    expect((await single({ token, key: 'k' })).status).toBe(202);
    for (const body of ['[{"a":1}]', BATCH]) {
      const answer = await batch({ token, key: 'k', body });
      expect([answer.status, answer.json]).toEqual([409, CONFLICT]);
    }
    expect(await storedOf(id)).toBe(1);
  });

  test('the event after the batch, though it is the first in it', async () => {
    const { id, token } = await app.createAccount();
    expect((await batch({ token, key: 'k' })).status).toBe(202);
    const answer = await single({ token, key: 'k' });
    expect([answer.status, answer.json]).toEqual([409, CONFLICT]);
    expect(await storedOf(id)).toBe(2);
  });

  test('both at once: one kind is stored, the other is refused', async () => {
    const { id, token } = await app.createAccount();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? single : batch)({ token, key: 'k' })),
    );
    const stored = answers.filter(({ status }) => status === 202);
    const kinds = new Set(stored.map(({ json }) => 'events' in json));
    expect([kinds.size, stored.length, answers.filter(({ status }) => status === 409).length]).toEqual([1, 20, 20]);
    expect(await storedOf(id)).toBe(kinds.has(true) ? 2 : 1);
  });

  test('and events without a key are free', async () => {
    const { id, token } = await app.createAccount();
    await batch({ token, key: 'k' });
    await postBatch(app.urls, { token, body: BATCH });
    await postBatch(app.urls, { token, body: BATCH });
    expect(await storedOf(id)).toBe(6);
  });
});
