import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let account: { id: string; token: string };

beforeAll(async () => {
  app = await TestApp.start();
  account = await app.createAccount();
});

afterAll(() => app.stop());

async function expectInvalid(headers: readonly string[], body?: string | Buffer): Promise<void> {
  const answer = await exchange(app.urls.ingest, {
    headers: [...headers, 'CL-X-TOKEN', account.token],
    ...(body !== undefined && { body }),
  });
  expect(answer.status).toBe(400);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.json).toEqual({
    success: false,
    message: 'Invalid Data',
    detail: expect.stringMatching(/^[A-Z].{10,}\.$/),
  });
}

describe('400 for a content type that is not JSON in UTF-8', () => {
  test('no content type', () => expectInvalid([], '{}'));

  test.each([
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/problem+json',
    'application/json-patch+json',
    'xapplication/json',
    'json',
    'application/json, text/plain',
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/json; charset=ascii',
    'application/json; charset="utf-16"',
    'application/json; Charset=latin1',
  ])('%j', (type) => expectInvalid(['Content-Type', type], '{}'));
});

describe('400 for a body that is not one JSON object', () => {
  const type = ['Content-Type', 'application/json'];

  test('no body', () => expectInvalid(type));

  test.each(['', ' ', '\n'])('an empty one: %j', (body) => expectInvalid(type, body));

  test.each(['null', 'true', '1', '1e400', '"text"', '[]', '[{}]', ' [ ] '])('a scalar or a list: %s', (body) =>
    expectInvalid(type, body),
  );

  test.each([
    '{',
    '}',
    '{]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '{"a":01}',
    '{"a":+1}',
    '{"a":.5}',
    '{"a":0x10}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":undefined}',
    '{"a":"\n"}',
    '{"a":"\\x41"}',
    '{"a":"\\ud8"}',
    '{} {}',
    '{}x',
    '{}\0',
    '{/* comment */}',
    '\u00a0{}',
    '\ufeff{}',
    'a=1&b=2',
    '<a/>',
  ])('malformed JSON: %j', (body) => expectInvalid(type, body));

  const badText: [title: string, bytes: number[]][] = [
    ['a byte that never occurs', [0xff]],
    ['a lone continuation byte', [0x80]],
    ['a slash in two bytes (overlong)', [0xc0, 0xaf]],
    ['a null in two bytes (overlong)', [0xc0, 0x80]],
    ['a slash in three bytes (overlong)', [0xe0, 0x80, 0xaf]],
    ['a slash in four bytes (overlong)', [0xf0, 0x80, 0x80, 0xaf]],
    ['an encoded surrogate', [0xed, 0xa0, 0x80]],
    ['an encoded surrogate pair', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
    ['a code point beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['two of three bytes', [0xe2, 0x82]],
    ['three of four bytes', [0xf0, 0x9f, 0x98]],
    ['Latin-1', [0xe9]],
  ];

  test.each(badText)('bad UTF-8 in a value: %s', (_title, bytes) =>
    expectInvalid(type, Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')])),
  );

  test.each(badText)('bad UTF-8 in a key: %s', (_title, bytes) =>
    expectInvalid(type, Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')])),
  );

  test.each(badText)('bad UTF-8 at the end: %s', (_title, bytes) =>
    expectInvalid(type, Buffer.concat([Buffer.from('{}'), Buffer.from(bytes)])),
  );

  test.each(['utf16le', 'latin1'] as const)('JSON in %s', (encoding) =>
    expectInvalid(type, Buffer.from('{"é":1}', encoding)),
  );
});

test('nothing of what is refused is stored', async () => {
  await expectInvalid(['Content-Type', 'application/json'], '[]');
  const query = 'query ($id: ID!) { account(id: $id) { events { totalCount } } }';
  expect((await app.data(query, { id: account.id })).account.events.totalCount).toBe(0);
});
