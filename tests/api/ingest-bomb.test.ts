import { resourceUsage } from 'node:process';
import { pipeline } from 'node:stream/promises';
import { Readable, type Transform } from 'node:stream';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, sendUntilAnswered } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const MIB = 1024 * 1024;
const BOMB_MIB = 256;
const BOMBS_AT_ONCE = 8;
/** A bomb that were unpacked whole would take more; all of them, sixteen times as much. */
const GROWTH_MAX_MIB = 128;
const JSON_TYPE = ['Content-Type', 'application/json'];

let app: TestApp;
let tokenLine: string[];

beforeAll(async () => {
  app = await TestApp.start();
  tokenLine = ['CL-X-TOKEN', (await app.createAccount()).token];
});

afterAll(() => app.stop());

/** Compresses a JSON text of 256 MiB without ever holding it. */
async function bomb(compressor: Transform): Promise<Buffer> {
  const blanks = Buffer.alloc(MIB, ' ');
  const text = function* (): Generator<Buffer> {
    yield Buffer.from('{"a":"');
    for (let count = 0; count < BOMB_MIB; count += 1) {
      yield blanks;
    }
    yield Buffer.from('"}');
  };
  const chunks: Buffer[] = [];
  await pipeline(Readable.from(text()), compressor, async (packed: AsyncIterable<Buffer>) => {
    for await (const chunk of packed) {
      chunks.push(chunk);
    }
  });
  return Buffer.concat(chunks);
}

/** How far the work pushed the highest memory use that this process, server included, ever had. */
async function peakGrowthMib(work: () => Promise<void>): Promise<number> {
  const before = resourceUsage().maxRSS;
  await work();
  return (resourceUsage().maxRSS - before) / 1024;
}

describe('a body made to exhaust the memory gets 413 and takes no memory', () => {
  test.each([
    ['gzip', () => createGzip({ level: 9 })],
    ['br', () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })],
  ] as [string, () => Transform][])('a %s bomb, eight times at once', async (encoding, createCompressor) => {
    const body = await bomb(createCompressor());
    expect(body.length).toBeLessThan(MIB);
    const headers = [...JSON_TYPE, ...tokenLine, 'Content-Encoding', encoding];
    const growth = await peakGrowthMib(async () => {
      const sent = Array.from({ length: BOMBS_AT_ONCE }, () => exchange(app.urls.ingest, { headers, body }));
      for (const answer of await Promise.all(sent)) {
        expect(answer.status).toBe(413);
      }
    });
    expect(growth).toBeLessThan(GROWTH_MAX_MIB);
  });

  test('an endless body, eight times at once', async () => {
    const headers = [...JSON_TYPE, ...tokenLine, 'Transfer-Encoding', 'chunked'];
    const growth = await peakGrowthMib(async () => {
      const sent = Array.from({ length: BOMBS_AT_ONCE }, () =>
        sendUntilAnswered(app.urls.ingest, { headers }, BOMB_MIB * MIB),
      );
      for (const answer of await Promise.all(sent)) {
        expect(answer.status).toBe(413);
      }
    });
    expect(growth).toBeLessThan(GROWTH_MAX_MIB);
  });

  test('and the server goes on', async () => {
    const answer = await exchange(app.urls.ingest, { headers: [...JSON_TYPE, ...tokenLine], body: '{}' });
    expect(answer.status).toBe(202);
  });
});
