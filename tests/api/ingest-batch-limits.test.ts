import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { numberedBatch, postBatch } from '../support/batch.ts';
import type { RawAnswer } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

let now = Date.UTC(2026, 0, 1);
let app: TestApp;
let account: { id: string; token: string };

afterEach(() => app.stop());

async function start(variables: Record<string, string>): Promise<void> {
  app = await TestApp.start(variables, { clock: { now: () => now } });
  account = await app.createAccount();
}

function post(body: string | Buffer, headers: readonly string[] = []): Promise<RawAnswer> {
  return postBatch(app.urls, { token: account.token, body, headers });
}

async function storedEvents(): Promise<number> {
  const query = 'query ($id: ID!) { account(id: $id) { events { totalCount } } }';
  return (await app.data(query, { id: account.id })).account.events.totalCount;
}

/** A batch of so many bytes, in events of at most `eventBytes`. */
function batchOf(bytes: number, eventBytes: number): Buffer {
  const events = Array(Math.floor((bytes - 2) / (eventBytes + 1))).fill(objectOf(eventBytes));
  const text = `[${events.join(',')}`;
  return Buffer.from(`${text.padEnd(bytes - 1)}]`);
}

function objectOf(bytes: number): string {
  return `{"a":"${'x'.repeat(bytes - 8)}"}`;
}

describe('the sizes', () => {
  test('of a batch is 8 MiB, before and after decompression', async () => {
    await start({});
    const most = 8 * 1_048_576;
    expect((await post(batchOf(most, 1_048_576))).json.events).toHaveLength(7);
    expect((await post(gzipSync(batchOf(most, 100_000)), ['Content-Encoding', 'gzip'])).json.events).toHaveLength(83);
    for (const answer of [
      await post(batchOf(most + 1, 1_000_000)),
      await post(gzipSync(batchOf(most + 1, 1_000_000)), ['Content-Encoding', 'gzip']),
    ]) {
      expect({ status: answer.status, ...answer.json }).toEqual({
        status: 413,
        success: false,
        message: 'Invalid Data',
        detail: expect.stringMatching(/8388608 bytes/u),
      });
    }
    expect(await storedEvents()).toBe(90);
  });

  test('of a batch and of an event are configuration', async () => {
    await start({ MAX_BATCH_BYTES: '1000', MAX_BODY_BYTES: '100' });
    const statuses = async (...bodies: (string | Buffer)[]) =>
      (await Promise.all(bodies.map((body) => post(body)))).map(({ status, json }) => [status, json.index]);
    expect(await statuses(batchOf(1_000, 100), batchOf(1_001, 100))).toEqual([
      [202, undefined],
      [413, undefined],
    ]);
    expect(await statuses(`[{} , ${objectOf(100)} ]`, `[{} , ${objectOf(101)} ]`)).toEqual([
      [202, undefined],
      [413, 1],
    ]);
    expect((await post(`[${objectOf(101)}]`)).json).toEqual({
      success: false,
      message: 'Invalid Data',
      detail: expect.stringMatching(/100 bytes/u),
      index: 0,
    });
    expect((await app.send(account.token, objectOf(101))).status).toBe(413);
    expect(await storedEvents()).toBe(9 + 2);
  });

  test('of one event is 1 MiB', async () => {
    await start({});
    expect((await post(`[{},${objectOf(1_048_576)}]`)).status).toBe(202);
    const over = await post(`[{},${objectOf(1_048_577)}]`);
    expect([over.status, over.json.index]).toEqual([413, 1]);
    expect(await storedEvents()).toBe(2);
  });
});

function limitOf({ status, headers }: RawAnswer): unknown[] {
  return [status, ...['limit', 'remaining', 'reset'].map((name) => Number(headers[`ratelimit-${name}`]))];
}

describe('the rate of an account', () => {
  test('counts entries, and grants a batch as a whole or not at all', async () => {
    await start({ INGEST_RATE: '10/m', INGEST_BURST: '10' });
    expect(limitOf(await post(numberedBatch(6)))).toEqual([202, 10, 4, 36]);
    const refused = await post(numberedBatch(6));
    expect(limitOf(refused)).toEqual([429, 10, 4, 36]);
    expect(refused.headers['retry-after']).toBe('12');
    expect(refused.json).toEqual({ success: false, message: 'Too Many Requests', detail: expect.any(String) });
    expect(limitOf(await post(numberedBatch(4)))).toEqual([202, 10, 0, 60]);
    expect((await app.send(account.token, '{}')).status).toBe(429);
    now += 36_000;
    expect((await post(numberedBatch(7))).headers['retry-after']).toBe('6');
    now += 6_000;
    expect(limitOf(await post(numberedBatch(7)))).toEqual([202, 10, 0, 60]);
    expect(await storedEvents()).toBe(17);
  });

  test('lets a batch that is larger than the burst through a full bucket, and is owed the rest', async () => {
    await start({ INGEST_RATE: '60/m', INGEST_BURST: '5' });
    expect((await app.send(account.token, '{}')).status).toBe(202);
    const early = await post(numberedBatch(20));
    expect([early.status, early.headers['retry-after']]).toEqual([429, '1']);
    now += 1_000;
    expect(limitOf(await post(numberedBatch(20)))).toEqual([202, 5, 0, 20]);
    const next = await app.send(account.token, '{}');
    expect([next.status, next.headers.get('retry-after')]).toEqual([429, '16']);
    now += 16_000;
    expect((await app.send(account.token, '{}')).status).toBe(202);
    expect(await storedEvents()).toBe(22);
  });

  test('counts a batch that is refused for what is in it as one', async () => {
    await start({ INGEST_RATE: '10/m', INGEST_BURST: '10' });
    expect(limitOf(await post('[{},{},1]'))).toEqual([400, 10, 9, 6]);
    expect(limitOf(await post(numberedBatch(9)))).toEqual([202, 10, 0, 60]);
  });
});

test('a wrong token counts as one with single events, and is blocked alike', async () => {
  await start({ AUTH_FAILURE_RATE: '2/m' });
  const token = 'AAAAAAAAAAAAAAAA';
  expect((await app.send(token, '{}')).status).toBe(401);
  expect((await postBatch(app.urls, { token, body: '[{}]' })).status).toBe(401);
  expect((await postBatch(app.urls, { token, body: '[{}]' })).status).toBe(429);
});
