import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const SECRET = 'sesame-open-4711';

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

/** What would tell an outsider how the program is built. */
const INSIDE = /\bat .+:\d+:\d+|node_modules|\.[jt]s\b|stacktrace|\bselect\b.*\bfrom\b|sqlite|insert into|constraint/i;

const refused: [title: string, body: string][] = [
  ['nothing', ''],
  ['no JSON', '{'],
  ['a list', '[]'],
  ['no query', '{}'],
  ['a query that is no text', '{"query":{}}'],
  ['an empty query', '{"query":""}'],
  ['variables that are no object', '{"query":"{ __typename }","variables":[1]}'],
  ['a syntax error', JSON.stringify({ query: `{ ${SECRET} } } {` })],
  ['an unknown field', JSON.stringify({ query: '{ passwords }' })],
  ['an unknown operation', JSON.stringify({ query: 'query A { __typename }', operationName: 'B' })],
  ['a missing argument', JSON.stringify({ query: '{ account { id } }' })],
  ['a missing variable', JSON.stringify({ query: 'query ($id: ID!) { account(id: $id) { id } }' })],
  [
    'bad input',
    JSON.stringify({ query: `mutation { createAccount(input: { email: "${SECRET}", name: "A" }) { id } }` }),
  ],
  ['an unknown id', JSON.stringify({ query: 'mutation { deleteAccount(id: "x") }' })],
];

describe('no error shows the inside of the program', () => {
  test.each(refused)('%s', async (_title, body) => {
    const answer = await exchange(app.urls.graphql, { headers: ['Content-Type', 'application/json'], body });
    expect(answer.status).toBeLessThan(500);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.text).not.toMatch(INSIDE);
    expect(answer.text).not.toContain('INTERNAL_SERVER_ERROR');
    expect(answer.json.errors ?? answer.json).not.toHaveProperty('0.extensions.stacktrace');
  });

  test('a conflict of the database is told in words', async () => {
    const { id } = await app.createAccount('one@example.com');
    await app.createAccount('two@example.com');
    const query = 'mutation ($id: ID!) { updateAccount(id: $id, input: { email: "TWO@example.com" }) { id } }';
    const { errors } = await app.graphql(query, { id });
    expect(errors?.[0]?.extensions).toEqual({ code: 'CONFLICT', field: 'email' });
    expect(JSON.stringify(errors)).not.toMatch(INSIDE);
  });
});

describe('no error repeats a value, which may be a secret', () => {
  test.each([
    { email: SECRET },
    { email: { secret: SECRET } },
    { name: [SECRET] },
    { website: `not a site ${SECRET}` },
    { appSecretToken: SECRET },
  ] as Record<string, unknown>[])('%j', async (fields) => {
    const query = 'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }';
    const input = { email: 'a@b.example', name: 'A', ...fields };
    const { errors } = await app.graphql(query, { input });
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(JSON.stringify(errors)).not.toContain(SECRET);
  });

  test('nor one of a header', async () => {
    const { id: accountId } = await app.createAccount();
    const query = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
    const good = { accountId, url: 'http://a.example', httpMethod: 'POST' };
    for (const headers of [{ Authorization: `${SECRET}\n` }, { [`${SECRET} x`]: '1' }, [SECRET], SECRET]) {
      const { errors } = await app.graphql(query, { input: { ...good, headers } });
      expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'headers' });
      expect(JSON.stringify(errors)).not.toContain(SECRET);
    }
  });

  test('nor the password of a URL', async () => {
    const { id: accountId } = await app.createAccount();
    const { errors } = await app.graphql(
      'mutation ($id: ID!, $url: String!) { createDestination(input: { accountId: $id, url: $url, httpMethod: GET, headers: { X: "1" } }) { id } }',
      { id: accountId, url: `https://user:${SECRET}@hello.com/` },
    );
    expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'url' });
    expect(JSON.stringify(errors)).not.toContain(SECRET);
  });
});

test('a failed mutation does not undo the one before it, and stops the one after it from nothing', async () => {
  const query = `mutation {
    first: createAccount(input: { email: "first@example.org", name: "A" }) { id }
    second: createAccount(input: { email: "FIRST@example.org", name: "A" }) { id }
  }`;
  const before = (await app.data('{ accounts { totalCount } }')).accounts.totalCount;
  const { errors } = await app.graphql(query);
  expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['CONFLICT']);
  expect((await app.data('{ accounts { totalCount } }')).accounts.totalCount).toBe(before + 1);
});
