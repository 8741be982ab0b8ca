import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer, sendUntilAnswered } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const MIB = 1024 * 1024;
const TYPE = ['Content-Type', 'application/json'];

let app: TestApp;
let receiver: Receiver;
let tokenLine: string[];

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url());
  tokenLine = ['CL-X-TOKEN', token];
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

/** A JSON object of exactly so many bytes. */
function objectOf(bytes: number): Buffer {
  return Buffer.from(`{"a":"${'x'.repeat(bytes - 8)}"}`);
}

function post(body: Buffer, ...headers: string[]): Promise<RawAnswer> {
  return exchange(app.urls.ingest, { headers: [...TYPE, ...tokenLine, ...headers], body });
}

function expectTooLarge(answer: RawAnswer): void {
  expect(answer.status).toBe(413);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.json).toEqual({
    success: false,
    message: 'Invalid Data',
    detail: expect.stringMatching(/1048576 .*\.$/),
  });
}

async function expectDelivered(body: Buffer, send: () => Promise<RawAnswer>): Promise<void> {
  const before = receiver.received.length;
  expect((await send()).status).toBe(202);
  const delivered = (await receiver.arrived(before + 1))[before];
  expect(delivered?.body.equals(body)).toBe(true);
  expect(delivered?.headers['content-encoding']).toBeUndefined();
}

describe('the limit of 1 MiB', () => {
  test('a body of exactly 1 MiB is accepted and delivered', () =>
    expectDelivered(objectOf(MIB), () => post(objectOf(MIB))));

  test('one byte more is refused with 413', async () => expectTooLarge(await post(objectOf(MIB + 1))));

  test('a sender that announces too much gets 413 before it has sent it', async () => {
    const headers = [...TYPE, ...tokenLine, 'Content-Length', `${1024 * MIB}`];
    const answer = await sendUntilAnswered(app.urls.ingest, { headers }, 1024 * MIB);
    expectTooLarge(answer);
    expect(answer.sentBytes).toBeLessThan(16 * MIB);
  });

  test('a sender of endless chunks gets 413 while it is still sending', async () => {
    const headers = [...TYPE, ...tokenLine, 'Transfer-Encoding', 'chunked'];
    const answer = await sendUntilAnswered(app.urls.ingest, { headers }, 1024 * MIB);
    expectTooLarge(answer);
    expect(answer.sentBytes).toBeLessThan(16 * MIB);
  });

  test('is configuration', async () => {
    const small = await TestApp.start({ MAX_BODY_BYTES: '100' });
    const { token } = await small.createAccount();
    const within = await small.send(token, objectOf(100));
    const over = await small.send(token, objectOf(101));
    expect([within.status, over.status]).toEqual([202, 413]);
    await small.stop();
  });
});

describe('a compressed body', () => {
  const original = Buffer.from('{ "a" : 1.0, "b": "é🙂", "a": 12345678901234567890 }\n');

  test.each([
    ['gzip', gzipSync(original)],
    ['GZIP', gzipSync(original)],
    ['x-gzip', gzipSync(original)],
    ['br', brotliCompressSync(original)],
    ['identity', original],
  ] as [string, Buffer][])('in %s is delivered decompressed, byte for byte', (encoding, body) =>
    expectDelivered(original, () => post(body, 'Content-Encoding', encoding)),
  );

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as [string, (body: Buffer) => Buffer][])('in %s has the same limit after decompression', async (encoding, pack) => {
    await expectDelivered(objectOf(MIB), () => post(pack(objectOf(MIB)), 'Content-Encoding', encoding));
    expectTooLarge(await post(pack(objectOf(MIB + 1)), 'Content-Encoding', encoding));
  });

  test.each([
    ['gzip', 'not compressed', original],
    ['gzip', 'empty', Buffer.alloc(0)],
    ['gzip', 'cut off', gzipSync(original).subarray(0, -9)],
    ['gzip', 'changed on the way', flipped(gzipSync(original))],
    ['gzip', 'a compressed list', gzipSync('[]')],
    ['gzip', 'a compressed nothing', gzipSync('')],
    ['br', 'not compressed', original],
    ['br', 'cut off', brotliCompressSync(original).subarray(0, -4)],
    ['br', 'compressed by gzip', gzipSync(original)],
    ['deflate', 'an encoding that is not offered', original],
    ['zstd', 'an encoding that is not offered', original],
    ['gzip, gzip', 'compressed twice', gzipSync(gzipSync(original))],
    ['__proto__', 'a name that every object has', original],
  ] as [string, string, Buffer][])('in %s is refused with 400 when it is %s', async (encoding, _title, body) => {
    const answer = await post(body, 'Content-Encoding', encoding);
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ success: false, message: 'Invalid Data' });
  });
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(copy.length - 6) ^ 0xff, copy.length - 6);
  return copy;
}
