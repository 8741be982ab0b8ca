import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const SECRET = 'sesame-open-4711';
const JSON_TYPE = ['Content-Type', 'application/json'];

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

function post(body: string | Buffer, headers: readonly string[] = JSON_TYPE): Promise<RawAnswer> {
  return exchange(app.urls.graphql, { headers, body });
}

function linesOfFaults(): string[] {
  return app.logLines.filter((line) => JSON.parse(line).level >= 50);
}

describe('a request that GraphQL cannot read gets an error of GraphQL, which says what is wrong', () => {
  test.each([
    ['malformed JSON', `{"query":"${SECRET}`, JSON_TYPE, 400, /not valid JSON/],
    ['a text', `"${SECRET}"`, JSON_TYPE, 400, /not valid JSON, or not an object/],
    ['a number', '5', JSON_TYPE, 400, /not valid JSON, or not an object/],
    ['a list', '[]', JSON_TYPE, 400, /batching|body/i],
    ['nothing', '', JSON_TYPE, 400, /body missing/i],
    ['too much', `{"query":"${'x'.repeat(300_000)}"}`, JSON_TYPE, 413, /too large/],
    ['a wrong charset', '{}', ['Content-Type', 'application/json; charset=latin1'], 415, /charset/],
    ['a wrong encoding', '{}', [...JSON_TYPE, 'Content-Encoding', 'zstd9'], 415, /Content-Encoding/],
    ['no gzip', 'no gzip', [...JSON_TYPE, 'Content-Encoding', 'gzip'], 400, /cannot be read/],
    ['a bomb', gzipSync(Buffer.alloc(2_000_000, ' ')), [...JSON_TYPE, 'Content-Encoding', 'gzip'], 413, /too large/],
    ['lines without end', JSON.stringify({ query: `${'\n'.repeat(100_000)}{ x }` }), JSON_TYPE, 400, /lines/],
  ] as [string, string | Buffer, string[], number, RegExp][])('%s', async (_title, body, headers, status, message) => {
    const answer = await post(body, headers);
    expect([answer.status, answer.json?.errors?.length]).toEqual([status, 1]);
    expect(answer.json.errors[0].message).toMatch(message);
    expect(answer.json.errors[0].extensions).toEqual({ code: 'BAD_REQUEST' });
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.text).not.toContain(SECRET);
  });

  test('in the media type that it asks for', async () => {
    const answer = await post('{', [...JSON_TYPE, 'Accept', 'application/graphql-response+json']);
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/graphql-response\+json/);
  });

  test('also a subscription, which is not offered', async () => {
    const answer = await post('{"query":"subscription { x }"}', [
      ...JSON_TYPE,
      'Accept',
      'application/graphql-response+json',
    ]);
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toHaveLength(1);
    expect(answer.json.errors[0].extensions).toEqual({ code: 'OPERATION_NOT_SUPPORTED' });
    expect(answer.json.data).toBeUndefined();
  });

  test('and none of it is logged as a fault of the program', () => {
    expect(linesOfFaults()).toEqual([]);
  });
});
