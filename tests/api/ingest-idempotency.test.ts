import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const DAY_MS = 24 * 3_600_000;

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

interface Sending {
  readonly token: string;
  readonly body?: string | Buffer;
  readonly headers?: readonly string[];
}

function post({ token, body = '{"a":1}', headers = [] }: Sending): Promise<RawAnswer> {
  const all = ['Content-Type', 'application/json', 'CL-X-TOKEN', token, ...headers];
  return exchange(app.urls.ingest, { headers: all, body });
}

function withKey(key: string, token: string, body?: string): Promise<RawAnswer> {
  return post({ token, headers: ['Idempotency-Key', key], ...(body !== undefined && { body }) });
}

async function storedOf(accountId: string): Promise<number> {
  const { account } = await app.data('query ($id: ID!) { account(id: $id) { events { totalCount } } }', {
    id: accountId,
  });
  return account.events.totalCount;
}

describe('an event that is sent again with its key', () => {
  test('is answered like the first time, and is stored and delivered once', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/once'));
    await app.createDestination(id, receiver.url('/once'));
    const first = await withKey('order-1', token);
    expect(first.status).toBe(202);
    expect(first.json).toEqual({
      success: true,
      message: 'Data Received',
      eventId: expect.any(String),
      deliveries: 2,
    });
    const second = await withKey('order-1', token);
    expect(second.status).toBe(202);
    expect(second.json).toEqual({ ...first.json, duplicate: true });
    expect(await storedOf(id)).toBe(1);
    await post({ token, body: '{"last":true}' });
    const arrived = await receiver.arrived(4);
    expect(arrived.map(({ body }) => body.toString()).toSorted()).toEqual([
      ...Array(2).fill('{"a":1}'),
      ...Array(2).fill('{"last":true}'),
    ]);
  });

  test('200 times at once: one event, and everyone learns its id', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/many'));
    const answers = await Promise.all(Array.from({ length: 200 }, () => withKey('many', token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ json }) => json.eventId)).size).toBe(1);
    expect(answers.filter(({ json }) => json.duplicate !== true)).toHaveLength(1);
    expect(new Set(answers.map(({ json }) => json.deliveries))).toEqual(new Set([1]));
    expect(await storedOf(id)).toBe(1);
  });

  test('and another body is refused with 409, and not stored', async () => {
    const { id, token } = await app.createAccount();
    await withKey('k', token, '{"a":1}');
    const answer = await withKey('k', token, '{"a": 1}');
    expect(answer.status).toBe(409);
    expect(answer.json).toEqual({ success: false, message: 'Conflict', detail: expect.stringMatching(/key/) });
    expect(await storedOf(id)).toBe(1);
  });

  test('counts the bytes after decompression', async () => {
    const { gzipSync } = await import('node:zlib');
    const { token } = await app.createAccount();
    const first = await withKey('k', token, '{"a":1}');
    const headers = ['Idempotency-Key', 'k', 'Content-Encoding', 'gzip'];
    const second = await post({ token, body: gzipSync('{"a":1}'), headers });
    expect(second.json).toMatchObject({ eventId: first.json.eventId, duplicate: true });
  });

  test('from another account is another event', async () => {
    const { token } = await app.createAccount();
    const { id, token: other } = await app.createAccount();
    await withKey('k', token);
    const answer = await withKey('k', other, '{"b":2}');
    expect(answer.status).toBe(202);
    expect(answer.json.duplicate).toBeUndefined();
    expect(await storedOf(id)).toBe(1);
  });

  test('after 24 hours is a new event, which has the key from then on', async () => {
    const { id, token } = await app.createAccount();
    const first = await withKey('k', token);
    now += DAY_MS - 1;
    expect((await withKey('k', token)).json).toMatchObject({ eventId: first.json.eventId, duplicate: true });
    now += 1;
    const next = await withKey('k', token, '{"b":2}');
    expect(next.status).toBe(202);
    expect(next.json.duplicate).toBeUndefined();
    expect((await withKey('k', token, '{"b":2}')).json).toEqual({ ...next.json, duplicate: true });
    expect((await withKey('k', token)).status).toBe(409);
    expect(await storedOf(id)).toBe(2);
  });

  test('after a refusal is the first', async () => {
    const { token } = await app.createAccount();
    expect((await withKey('k', token, '[]')).status).toBe(400);
    expect((await withKey('k', token, '{}')).json).not.toHaveProperty('duplicate');
  });
});

describe('the key', () => {
  test('is the webhook-id of an upstream, unless there is an Idempotency-Key', async () => {
    const { id, token } = await app.createAccount();
    const send = (headers: readonly string[], body: string) => post({ token, headers, body });
    const first = await send(['webhook-id', 'msg_1'], '{"a":1}');
    expect((await send(['Webhook-Id', 'msg_1'], '{"a":1}')).json).toEqual({ ...first.json, duplicate: true });
    expect((await send(['webhook-id', 'msg_1'], '{"a":2}')).status).toBe(409);
    const own = ['webhook-id', 'msg_1', 'Idempotency-Key', 'own'];
    expect((await send(own, '{"a":2}')).json).not.toHaveProperty('duplicate');
    expect((await send(['Idempotency-Key', 'own', 'webhook-id', 'msg_2'], '{"a":2}')).json.duplicate).toBe(true);
    expect(await storedOf(id)).toBe(2);
  });

  test.each(['x', '!', '~', 'x'.repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', `';--\\"%_`])(
    'may be %s, in its own letter case',
    async (key) => {
      const { token } = await app.createAccount();
      expect((await withKey(key, token)).status).toBe(202);
      expect((await withKey(key, token)).json.duplicate).toBe(true);
      expect((await withKey(`${key.slice(0, 254)}X`, token)).json).not.toHaveProperty('duplicate');
    },
  );

  test.each([
    ['empty', ['Idempotency-Key', '']],
    ['256 characters long', ['Idempotency-Key', 'x'.repeat(256)]],
    ['two words', ['Idempotency-Key', 'a b']],
    ['not ASCII', ['Idempotency-Key', 'caf\u00e9']],
    ['a control character', ['Idempotency-Key', 'a\tb']],
    ['sent twice', ['Idempotency-Key', 'a', 'idempotency-key', 'a']],
    ['a bad one beside a good webhook-id', ['Idempotency-Key', '', 'webhook-id', 'a']],
    ['a bad webhook-id', ['webhook-id', 'a b']],
  ])('is refused with 400 when it is %s, before the body is looked at', async (_what, headers) => {
    const { id, token } = await app.createAccount();
    const answer = await post({ token, headers, body: '[]' });
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ message: 'Invalid Data', detail: expect.stringMatching(/visible ASCII/) });
    expect(await storedOf(id)).toBe(0);
    expect((await post({ token: 'AAAAAAAAAAAAAAAA', headers })).status).toBe(401);
  });
});
