import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, sendUntilAnswered } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const UNKNOWN_TOKEN = 'AAAAAAAAAAAAAAAA';

let app: TestApp;
let token: string;
let otherToken: string;

beforeAll(async () => {
  app = await TestApp.start({ MAX_BODY_BYTES: '1000' });
  ({ token } = await app.createAccount());
  ({ token: otherToken } = await app.createAccount());
});

afterAll(() => app.stop());

async function expectUnauthenticated(headers: readonly string[], body?: string | Buffer, query = ''): Promise<void> {
  const answer = await exchange(app.urls.ingest + query, { headers, ...(body !== undefined && { body }) });
  expect(answer.status).toBe(401);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.text).toBe('{"success":false,"message":"Un Authenticate"}');
}

describe('an event without one known token is refused with 401', () => {
  test('when the token is missing', () => expectUnauthenticated(JSON_TYPE, '{}'));

  test.each(['', ' ', '\t '])('when the token is blank: %j', (blank) =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', blank], '{}'),
  );

  test('when the token is unknown', () => expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', UNKNOWN_TOKEN], '{}'));

  test('when the token differs in letter case', () => {
    const swapped = token.replaceAll(/[a-z]/gi, (one) =>
      one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase(),
    );
    return expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', swapped], '{}');
  });

  test.each(["' or 1=1 --", '%', '*', 'null', 'x'.repeat(100)])('when the token is %s', (wrong) =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', wrong], '{}'),
  );

  test('when the token is sent twice', () =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', token, 'CL-X-TOKEN', token], '{}'));

  test('when the token is sent under both names', () =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', token, 'cl-xtoken', token], '{}'));

  test('when two accounts have a token each', () =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', token, 'CL-X-TOKEN', otherToken], '{}'));

  test('when two tokens stand in one header', () =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', `${token}, ${otherToken}`], '{}'));

  test('when one of two tokens is blank', () =>
    expectUnauthenticated([...JSON_TYPE, 'CL-X-TOKEN', token, 'CL-X-TOKEN', ''], '{}'));

  test('when the token stands only in the query', () =>
    expectUnauthenticated(JSON_TYPE, '{}', `?CL-X-TOKEN=${token}&token=${token}`));

  test('when the token stands only in the body', () =>
    expectUnauthenticated(JSON_TYPE, JSON.stringify({ 'CL-X-TOKEN': token, token })));

  test('when the token stands in another header', () =>
    expectUnauthenticated([...JSON_TYPE, 'Authorization', `Bearer ${token}`, 'X-TOKEN', token], '{}'));
});

describe('whatever is wrong with the body, the sender without a token learns nothing of it', () => {
  const bodies: [title: string, headers: string[], body: string | Buffer | undefined][] = [
    ['no body', [], undefined],
    ['an empty body', JSON_TYPE, ''],
    ['malformed JSON', JSON_TYPE, '{'],
    ['a list', JSON_TYPE, '[]'],
    ['bad UTF-8', JSON_TYPE, Buffer.from([0x7b, 0xff, 0x7d])],
    ['no content type', [], '{}'],
    ['another content type', ['Content-Type', 'text/xml'], '<a/>'],
    ['another charset', ['Content-Type', 'application/json; charset=utf-16'], '{}'],
    ['an unknown encoding', [...JSON_TYPE, 'Content-Encoding', 'compress'], '{}'],
    ['a broken gzip body', [...JSON_TYPE, 'Content-Encoding', 'gzip'], 'not gzip'],
    ['a body over the limit', JSON_TYPE, `{"a":"${'x'.repeat(2_000)}"}`],
  ];

  test.each(bodies)('%s: 401 when the token is missing', (_title, headers, body) =>
    expectUnauthenticated(headers, body),
  );

  test.each(bodies)('%s: 401 when the token is unknown', (_title, headers, body) =>
    expectUnauthenticated([...headers, 'CL-X-TOKEN', UNKNOWN_TOKEN], body),
  );

  test.each([['missing', []] as [string, string[]], ['unknown', ['CL-X-TOKEN', UNKNOWN_TOKEN]] as [string, string[]]])(
    'an endless body: 401 at once when the token is %s',
    async (_title, tokenHeaders) => {
      const headers = [...JSON_TYPE, ...tokenHeaders, 'Transfer-Encoding', 'chunked'];
      const answer = await sendUntilAnswered(app.urls.ingest, { headers }, 256 * 1024 * 1024);
      expect(answer.status).toBe(401);
      expect(answer.sentBytes).toBeLessThan(64 * 1024 * 1024);
    },
  );
});

test('a refused event is not stored', async () => {
  const { id, token: own } = await app.createAccount();
  await exchange(app.urls.ingest, { headers: [...JSON_TYPE, 'CL-X-TOKEN', own, 'CL-X-TOKEN', own], body: '{}' });
  await exchange(app.urls.ingest, { headers: [...JSON_TYPE, 'CL-X-TOKEN', own], body: '[]' });
  const { account } = await app.data('query ($id: ID!) { account(id: $id) { events { totalCount } } }', { id });
  expect(account.events.totalCount).toBe(0);
});
