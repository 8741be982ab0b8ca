import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inTurns } from '../support/in-turns.ts';
import { naughtyStrings } from '../support/naughty-strings.ts';
import type { GraphQLAnswer } from '../support/test-app.ts';
import { TestApp } from '../support/test-app.ts';

const AT_ONCE = 8;
const DESTINATIONS_MAX = 100;

const CREATE_ACCOUNT = `mutation ($input: CreateAccountInput!) {
  createAccount(input: $input) { id name website email }
}`;
const CREATE_DESTINATION = `mutation ($input: CreateDestinationInput!) {
  createDestination(input: $input) { id url headers }
}`;
const ALIASES_MAX = 30;

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

interface Attempt {
  readonly text: string;
  readonly answer: GraphQLAnswer;
  /** As it is read afterwards; undefined when it was refused. */
  readonly stored: unknown;
}

async function tryAccounts(inputOf: (text: string) => Record<string, unknown>): Promise<Attempt[]> {
  const answers = await inTurns(naughtyStrings, AT_ONCE, (text) => {
    const input = { email: `${crypto.randomUUID()}@example.com`, name: 'A', ...inputOf(text) };
    return app.graphql(CREATE_ACCOUNT, { input });
  });
  const ids = answers.map(({ data }) => data?.createAccount.id);
  return withStored(answers, await readAll('account', 'id name website email', ids));
}

async function tryDestinations(inputOf: (text: string) => Record<string, unknown>): Promise<Attempt[]> {
  const answers: GraphQLAnswer[] = [];
  for (let at = 0; at < naughtyStrings.length; at += DESTINATIONS_MAX) {
    const { id: accountId } = await app.createAccount();
    const good = { accountId, url: 'http://127.0.0.1:9/', httpMethod: 'POST', headers: { X: '1' } };
    const some = naughtyStrings.slice(at, at + DESTINATIONS_MAX);
    const create = (text: string) => app.graphql(CREATE_DESTINATION, { input: { ...good, ...inputOf(text) } });
    answers.push(...(await inTurns(some, AT_ONCE, create)));
  }
  const ids = answers.map(({ data }) => data?.createDestination.id);
  return withStored(answers, await readAll('destination', 'id url headers', ids));
}

function withStored(answers: readonly GraphQLAnswer[], stored: ReadonlyMap<string, unknown>): Attempt[] {
  return answers.map((answer, index) => {
    const created = answer.data?.createAccount ?? answer.data?.createDestination;
    return { text: naughtyStrings[index] as string, answer, stored: stored.get(created?.id) };
  });
}

/** By id; in requests of as many as may have an alias each. */
async function readAll(
  field: string,
  selection: string,
  ids: readonly (string | undefined)[],
): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  const known = ids.filter((id) => id !== undefined);
  for (let at = 0; at < known.length; at += ALIASES_MAX) {
    const some = known.slice(at, at + ALIASES_MAX);
    const fields = some.map((id, index) => `a${index}: ${field}(id: ${JSON.stringify(id)}) { ${selection} }`);
    const rows = Object.values<{ id: string } | null>(await app.data(`{ ${fields.join(' ')} }`));
    for (const row of rows) {
      found.set(row?.id ?? '', row);
    }
  }
  return found;
}

/** Either stored exactly, or refused as bad input in this field; both must have happened, or nothing was tried. */
function expectAllInOrder(
  attempts: readonly Attempt[],
  field: string,
  expected: (text: string) => Record<string, unknown>,
): void {
  const accepted = attempts.filter(({ stored }) => stored !== undefined);
  const refused = attempts.filter(({ stored }) => stored === undefined);
  expect(attempts.length).toBeGreaterThan(450);
  expect(attempts.filter(({ answer }) => answer.status !== 200).map(({ text }) => text)).toEqual([]);
  for (const { text, stored } of accepted) {
    expect(stored).toMatchObject(expected(text));
  }
  const unexplained = refused.filter(({ answer }) => {
    const { code, field: blamed } = answer.errors?.[0]?.extensions ?? {};
    return code !== 'BAD_USER_INPUT' || blamed !== field;
  });
  expect(unexplained.map(({ text }) => text)).toEqual([]);
  expect(Math.min(accepted.length, refused.length)).toBeGreaterThan(0);
}

describe('each naughty string is kept exactly or refused as bad input', () => {
  test('as the name of an account, which is trimmed', async () => {
    const attempts = await tryAccounts((text) => ({ name: text }));
    expectAllInOrder(attempts, 'name', (text) => ({ name: text.trim() }));
  });

  test('as the website of an account', async () => {
    const attempts = await tryAccounts((text) => ({ website: text }));
    expectAllInOrder(attempts, 'website', (text) => ({ website: text }));
  });

  test('as the path of a website', async () => {
    const attempts = await tryAccounts((text) => ({ website: `http://hello.com/${text}` }));
    expectAllInOrder(attempts, 'website', (text) => ({ website: `http://hello.com/${text}` }));
  });

  test('as the email of an account: none is an address', async () => {
    const attempts = await tryAccounts((text) => ({ email: text }));
    const blamed = attempts.map(({ answer }) => answer.errors?.[0]?.extensions);
    expect(blamed).toEqual(attempts.map(() => ({ code: 'BAD_USER_INPUT', field: 'email' })));
  });

  test('as the path of a URL', async () => {
    const attempts = await tryDestinations((text) => ({ url: `http://127.0.0.1:9/${text}` }));
    expectAllInOrder(attempts, 'url', (text) => ({ url: `http://127.0.0.1:9/${text}` }));
  });

  test('as a URL: what is none is refused', async () => {
    const attempts = await tryDestinations((text) => ({ url: text }));
    expectAllInOrder(attempts, 'url', (text) => ({ url: text }));
  });

  test("as a header's name", async () => {
    const attempts = await tryDestinations((text) => ({ headers: { [text]: 'x' } }));
    expectAllInOrder(attempts, 'headers', (text) => ({ headers: { [text]: 'x' } }));
  });

  test("as a header's value, alone and in a list", async () => {
    const attempts = await tryDestinations((text) => ({ headers: { X: text, Y: ['a', text] } }));
    expectAllInOrder(attempts, 'headers', (text) => ({ headers: { X: text, Y: ['a', text] } }));
  });

  test('as an id: unknown', async () => {
    const query = 'query ($id: ID!) { account(id: $id) { id } }';
    const found = await inTurns(naughtyStrings, AT_ONCE, (id) => app.data(query, { id }));
    expect(found.filter(({ account }) => account !== null)).toEqual([]);
  });

  test('as the text of a query: refused in words', async () => {
    const answers = await inTurns(naughtyStrings, AT_ONCE, (text) => app.graphql(text));
    const codes = new Set(answers.map(({ errors }) => errors?.[0]?.extensions.code));
    expect(codes).toEqual(new Set(['BAD_REQUEST', 'GRAPHQL_PARSE_FAILED']));
    expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
  });
});

test('nothing of all this was an error to the log', () => {
  expect(app.logLines.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});
