import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ADMIN_TOKEN, accountWith, administratorOf, type Caller } from '../support/caller.ts';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const ORIGIN = 'https://app.example.com';
const SANDBOX = 'https://studio.apollographql.com';
const BROWSER = ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'];
const INTROSPECTIONS = [
  getIntrospectionQuery(),
  '{ __type(name: "Account") { fields { name } } }',
  '{ __typename hidden: __schema { queryType { name } } }',
  'query { ...on Query { ...f } } fragment f on Query { __schema { types { name } } }',
];

/** Bound to every address, and so exposed; the tests speak to it by loopback. */
let exposed: TestApp;
/** On loopback, with a token. */
let local: TestApp;

beforeAll(async () => {
  exposed = await TestApp.start({
    HOST: '0.0.0.0',
    ADMIN_TOKEN,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    CORS_ORIGINS: `${ORIGIN},https://other.example.com`,
  });
  local = await TestApp.start({ ADMIN_TOKEN, CORS_ORIGINS: ORIGIN });
});

afterAll(async () => {
  await exposed.stop();
  await local.stop();
});

async function accountOf(app: TestApp): Promise<Caller> {
  return accountWith((await administratorOf(app).createAccount()).token, app);
}

function open(app: TestApp, headers: readonly string[]): Promise<RawAnswer> {
  return exchange(app.urls.graphql, { method: 'GET', headers: [...BROWSER, ...headers] });
}

function preflight(app: TestApp, origin: string): Promise<RawAnswer> {
  const asked = ['Access-Control-Request-Method', 'POST'];
  const headers = ['Access-Control-Request-Headers', 'authorization,cl-x-token,content-type'];
  return exchange(app.urls.graphql, { method: 'OPTIONS', headers: ['Origin', origin, ...asked, ...headers] });
}

describe('exposed', () => {
  test.each(INTROSPECTIONS)('only the administrator reads the schema: %#', async (query) => {
    const account = await accountOf(exposed);
    expect(JSON.stringify(await administratorOf(exposed).data(query))).toContain('name');
    const { data, errors } = await account.graphql(query);
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'FORBIDDEN' }]);
    expect(data).toBeUndefined();
  });

  test('an account may still ask for the names of types, as clients do', async () => {
    expect(await (await accountOf(exposed)).data('{ __typename }')).toEqual({ __typename: 'Query' });
  });

  test('a misspelt name is not answered with the right one', async () => {
    const { errors } = await (await accountOf(exposed)).graphql('{ acount(id: "x") { id } }');
    expect(errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(errors?.[0]?.message).not.toMatch(/did you mean|account\b/i);
  });

  test('there is no page for browsers', async () => {
    const nobody = await open(exposed, []);
    expect([nobody.status, nobody.headers['content-type']]).toEqual([401, 'application/json; charset=utf-8']);
    expect((await open(exposed, ['Authorization', `Bearer ${ADMIN_TOKEN}`])).text).not.toMatch(/<html|sandbox/i);
  });

  test('pages of the configured origins may call, with a token', async () => {
    for (const origin of [ORIGIN, 'https://other.example.com']) {
      const answer = await preflight(exposed, origin);
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([204, origin]);
      expect(answer.headers['access-control-allow-headers']).toBe('authorization,cl-x-token,content-type');
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    }
  });

  test('a page that may call can read that its token is wrong', async () => {
    const headers = ['Origin', ORIGIN, 'Content-Type', 'application/json'];
    const answer = await exchange(exposed.urls.graphql, { headers, body: '{}' });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([401, ORIGIN]);
  });

  test.each([SANDBOX, 'http://localhost:3000', `${ORIGIN}.evil.example`, `${ORIGIN}:8443`, 'null'])(
    'no others may: %s',
    async (origin) => {
      const { headers } = await preflight(exposed, origin);
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(headers['access-control-allow-private-network']).toBeUndefined();
    },
  );
});

describe('on this machine, with ADMIN_TOKEN', () => {
  test.each(INTROSPECTIONS)('an account may read the schema: %#', async (query) => {
    expect(JSON.stringify(await (await accountOf(local)).data(query))).toContain('name');
  });

  test('a browser gets the page, which has nothing of the data', async () => {
    const answer = await open(local, []);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const asked = await exchange(`${local.urls.graphql}?query=%7B__typename%7D`, { method: 'GET', headers: BROWSER });
    expect(asked.text).toMatch(/^\s*<!DOCTYPE html>/);
    expect(asked.text).not.toContain('__typename');
  });

  test('whoever is nobody gets no answer by asking as a browser', async () => {
    const headers = ['Accept', 'text/html', 'Content-Type', 'application/json'];
    const answer = await exchange(local.urls.graphql, { headers, body: '{"query":"{ __typename }"}' });
    expect(answer.status).toBe(401);
  });

  test.each([ORIGIN, SANDBOX, 'http://localhost:3000'])('pages may call that are of %s', async (origin) => {
    expect((await preflight(local, origin)).headers['access-control-allow-origin']).toBe(origin);
  });
});
