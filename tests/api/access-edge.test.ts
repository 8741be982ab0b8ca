import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ADMIN_TOKEN, accountWith, administratorOf } from '../support/caller.ts';
import { exchange, type RawAnswer, sendUntilAnswered } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const WHO = '{"query":"{ accounts(first: 0) { totalCount } }"}';
const ENDLESS_BYTES = 64 * 1024 * 1024;

let closed: TestApp;
let open: TestApp;

beforeAll(async () => {
  closed = await TestApp.start({ ADMIN_TOKEN });
  open = await TestApp.start();
});

afterAll(async () => {
  await closed.stop();
  await open.stop();
});

function ask(app: TestApp, headers: readonly string[], body = WHO): Promise<RawAnswer> {
  return exchange(app.urls.graphql, { headers: [...JSON_TYPE, ...headers], body });
}

/** Only the administrator may count accounts. */
async function whoIs(app: TestApp, headers: readonly string[]): Promise<string> {
  const { status, json } = await ask(app, headers);
  if (status === 401) {
    return 'nobody';
  }
  return json.errors?.[0].extensions.code === 'FORBIDDEN' ? 'account' : `administrator of ${typeof json.data.accounts}`;
}

const ADMINISTRATOR = 'administrator of object';
const BEARER = `Bearer ${ADMIN_TOKEN}`;

describe('with ADMIN_TOKEN', () => {
  let token: string;

  beforeAll(async () => {
    ({ token } = await administratorOf(closed).createAccount());
  });

  test.each([
    ['the token', ['Authorization', BEARER], ADMINISTRATOR],
    ['the scheme in any letter case', ['authorization', `bEARER  ${ADMIN_TOKEN}`], ADMINISTRATOR],
    ['the token and a wrong one of an account', ['Authorization', BEARER, 'CL-X-TOKEN', 'wrong'], ADMINISTRATOR],
    ['nothing', [], 'nobody'],
    ['no scheme', ['Authorization', ADMIN_TOKEN], 'nobody'],
    ['another scheme', ['Authorization', `Basic ${ADMIN_TOKEN}`], 'nobody'],
    ['a part of the token', ['Authorization', BEARER.slice(0, -1)], 'nobody'],
    ['more than the token', ['Authorization', `${BEARER}x`], 'nobody'],
    ['the token in another letter case', ['Authorization', `Bearer ${ADMIN_TOKEN.toUpperCase()}`], 'nobody'],
    ['the token and more', ['Authorization', `${BEARER} ${ADMIN_TOKEN}`], 'nobody'],
    ['an empty header', ['Authorization', ''], 'nobody'],
    ['the token twice', ['Authorization', BEARER, 'Authorization', BEARER], 'nobody'],
    ['the token as that of an account', ['CL-X-TOKEN', ADMIN_TOKEN], 'nobody'],
    ['a blank token of an account', ['CL-X-TOKEN', ''], 'nobody'],
  ])('%s', async (_title, headers, who) => {
    expect(await whoIs(closed, headers)).toBe(who);
  });

  test.each([
    ['its token', (one: string) => ['CL-X-TOKEN', one], 'account'],
    ['its token by the other name', (one: string) => ['cl-xtoken', one], 'account'],
    ['its token twice', (one: string) => ['CL-X-TOKEN', one, 'CL-XTOKEN', one], 'nobody'],
    ['its token in another letter case', (one: string) => ['CL-X-TOKEN', swapCase(one)], 'nobody'],
    ['a part of its token', (one: string) => ['CL-X-TOKEN', one.slice(1)], 'nobody'],
    ['its token as the administrator', (one: string) => ['Authorization', `Bearer ${one}`], 'nobody'],
    [
      'its token and a wrong administrator',
      (one: string) => ['CL-X-TOKEN', one, 'Authorization', `${BEARER}x`],
      'nobody',
    ],
  ])('an account with %s', async (_title, headersOf, who) => {
    expect(await whoIs(closed, headersOf(token))).toBe(who);
  });

  test('a token that was replaced is worth nothing, and the new one works', async () => {
    const { id, token: old } = await administratorOf(closed).createAccount();
    const rotate = `mutation { rotateAppSecretToken(accountId: "${id}") { appSecretToken } }`;
    const { rotateAppSecretToken } = await accountWith(old, closed).data(rotate);
    expect(await whoIs(closed, ['CL-X-TOKEN', old])).toBe('nobody');
    expect(await whoIs(closed, ['CL-X-TOKEN', rotateAppSecretToken.appSecretToken])).toBe('account');
  });

  test('a token of an account that was deleted is worth nothing', async () => {
    const { id, token: old } = await administratorOf(closed).createAccount();
    await accountWith(old, closed).data(`mutation { deleteAccount(id: "${id}") }`);
    expect(await whoIs(closed, ['CL-X-TOKEN', old])).toBe('nobody');
  });

  test.each([
    ['a query that cannot be parsed', '{"query":"{{{"}'],
    ['what is no JSON', '{'],
    ['a batch', '[{"query":"{ __typename }"}]'],
    ['more than the limit', 'x'.repeat(300_000)],
  ])('nobody learns only that, whatever is sent: %s', async (_title, body) => {
    const answer = await ask(closed, [], body);
    expect(answer.status).toBe(401);
    expect(answer.json.errors.map(({ extensions }: never) => extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test('is asked before the body is read', async () => {
    const answer = await sendUntilAnswered(closed.urls.graphql, { headers: JSON_TYPE }, ENDLESS_BYTES);
    expect(answer.status).toBe(401);
    expect(answer.sentBytes).toBeLessThan(ENDLESS_BYTES);
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE'])('is asked by every method: %s', async (method) => {
    const url = `${closed.urls.graphql}?query=%7B__typename%7D`;
    expect((await exchange(url, { method, headers: ['Apollo-Require-Preflight', '1'] })).status).toBe(401);
  });

  test.each([
    ['application/graphql-response+json', 'application/graphql-response+json'],
    ['application/json', 'application/json; charset=utf-8'],
    ['*/*', 'application/json; charset=utf-8'],
  ])('is told in the type that is accepted: %s', async (accepted, type) => {
    expect((await ask(closed, ['Accept', accepted])).headers['content-type']).toBe(type);
  });
});

describe('without ADMIN_TOKEN, on this machine', () => {
  test.each([
    ['nothing', [], ADMINISTRATOR],
    ['any administrator, as a front end would', ['Authorization', 'Bearer x'], ADMINISTRATOR],
    ['a wrong token of an account', ['CL-X-TOKEN', 'wrong'], 'nobody'],
    ['a blank token of an account', ['CL-X-TOKEN', ''], 'nobody'],
  ])('%s', async (_title, headers, who) => {
    expect(await whoIs(open, headers)).toBe(who);
  });

  test("an account's token shows what it shows anywhere", async () => {
    const { token } = await open.createAccount();
    expect(await whoIs(open, ['CL-X-TOKEN', token])).toBe('account');
  });

  test.each(['evil.example', 'evil.example:4000', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', ''])(
    'a page whose name was turned to this machine is nobody: %s',
    async (host) => {
      expect(await whoIsAt(host)).toBe(401);
    },
  );

  test.each(['localhost', 'LOCALHOST:4000', '127.0.0.1:4000', '127.1.2.3', '[::1]:4000', 'pusher.localhost'])(
    "this machine's own names are open: %s",
    async (host) => {
      expect(await whoIsAt(host)).toBe(200);
    },
  );
});

/** @returns the status of a query that was sent to this name. */
async function whoIsAt(host: string): Promise<number> {
  const { hostname, port, pathname } = new URL(open.urls.graphql);
  const head = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${WHO.length}\r\nConnection: close`;
  const socket = connect(Number(port), hostname);
  socket.write(`${head}\r\n\r\n${WHO}`);
  return Number((await text(socket)).slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
}

function swapCase(token: string): string {
  const lower = token.toLowerCase();
  return lower === token ? token.toUpperCase() : lower;
}

test('a store that does not answer is not taken for a wrong token, and not told', async () => {
  const app = await TestApp.start({ ADMIN_TOKEN });
  try {
    const { token } = await administratorOf(app).createAccount();
    const intruder = await app.intrude();
    await intruder.execute('alter table account rename to account_away');
    const answer = await ask(app, ['CL-X-TOKEN', token]);
    await intruder.execute('alter table account_away rename to account');
    await intruder.close();
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5']);
    expect(answer.json).toEqual({
      errors: [{ message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
    });
    expect(await whoIs(app, ['CL-X-TOKEN', token])).toBe('account');
    expect(app.logLines.join('')).toContain('"where":"identify"');
    expect(app.logLines.join('')).not.toContain(token);
  } finally {
    await app.stop();
  }
});
