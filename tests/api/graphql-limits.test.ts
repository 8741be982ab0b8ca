import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { getIntrospectionQuery } from 'graphql';
import { exchange } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let accountId: string;

beforeAll(async () => {
  app = await TestApp.start();
  ({ id: accountId } = await app.createAccount());
  await app.createDestination(accountId, 'http://127.0.0.1:9/');
});

afterAll(() => app.stop());

async function expectRefused(query: string): Promise<void> {
  const { data, errors } = await app.graphql(query);
  expect(errors?.length).toBeGreaterThan(0);
  expect(errors?.filter(({ extensions }) => extensions.code === 'INTERNAL_SERVER_ERROR')).toEqual([]);
  expect(data ?? null).toBeNull();
}

async function expectNothingDone(): Promise<void> {
  const { accounts } = await app.data('{ accounts { totalCount } }');
  expect(accounts.totalCount).toBe(1);
}

function aliased(count: number): string {
  return `{ ${Array.from({ length: count }, (_, index) => `a${index}: accounts { totalCount }`).join(' ')} }`;
}

function nested(levels: number): string {
  return `{ accounts { nodes ${'{ destinations { account '.repeat(levels)} { id } ${'} }'.repeat(levels)} } }`;
}

describe('an operation out of proportion is refused before any of it runs', () => {
  test('in depth; a reasonable one runs', async () => {
    await app.data(nested(2));
    await expectRefused(nested(6));
    await expectRefused(nested(200));
  });

  test('in depth that hides in fragments', async () => {
    const fragments = Array.from(
      { length: 10 },
      (_, index) =>
        `fragment F${index} on Account { destinations { account { ${index < 9 ? `...F${index + 1}` : 'id'} } } }`,
    );
    await expectRefused(`{ accounts { nodes { ...F0 } } } ${fragments.join(' ')}`);
  });

  test('in aliases', async () => {
    await app.data(aliased(20));
    await expectRefused(aliased(200));
  });

  test('in aliases that hide in fragments', async () => {
    const spread = Array.from({ length: 10 }, (_, index) => `b${index}: account { ...F }`).join(' ');
    const fragment = Array.from({ length: 10 }, (_, index) => `a${index}: id`).join(' ');
    await expectRefused(`{ accounts { nodes { destinations { ${spread} } } } } fragment F on Account { ${fragment} }`);
  });

  test('in tokens', () => expectRefused(`{ accounts { nodes { ${'id '.repeat(5_000)} } } }`));

  test('in directives', () => expectRefused(`{ accounts ${'@include(if: true) '.repeat(200)} { totalCount } }`));

  test('in fragments that multiply', async () => {
    const fragments = Array.from({ length: 20 }, (_, index) => {
      const next = index < 19 ? `...F${index + 1} ...F${index + 1}` : 'id';
      return `fragment F${index} on Account { ${next} }`;
    });
    const startedAt = performance.now();
    await expectRefused(`{ accounts { nodes { ...F0 } } } ${fragments.join(' ')}`);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('in fragments that never end', () =>
    expectRefused('{ accounts { nodes { ...A } } } fragment A on Account { ...B } fragment B on Account { ...A }'));

  test('in bytes', async () => {
    const response = await fetch(app.urls.graphql, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: `# ${'x'.repeat(2_000_000)}\n{ accounts { totalCount } }` }),
    });
    expect(response.status).toBe(413);
    expect(await response.json()).not.toHaveProperty('stack');
  });

  test('but not the introspection that tools send', async () => {
    const { __schema } = await app.data(getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true }));
    expect(__schema.types.length).toBeGreaterThan(10);
  });
});

describe('other ways in', () => {
  const OPERATION = 'mutation { createAccount(input: { email: "intruder@example.com", name: "X" }) { id } }';

  test('a batch is refused', async () => {
    const body = JSON.stringify([{ query: OPERATION }, { query: '{ accounts { totalCount } }' }]);
    const answer = await exchange(app.urls.graphql, { headers: ['Content-Type', 'application/json'], body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    await expectNothingDone();
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])(
    'a POST that a web page could send without asking is refused: %j',
    async (type) => {
      const body = JSON.stringify({ query: OPERATION });
      const answer = await exchange(app.urls.graphql, { headers: ['Content-Type', type], body });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      await expectNothingDone();
    },
  );

  test('a GET that a web page could send without asking is refused', async () => {
    const url = `${app.urls.graphql}?query=${encodeURIComponent('{ accounts { nodes { appSecretToken } } }')}`;
    const answer = await exchange(url, { method: 'GET', headers: ['Accept', '*/*'] });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('"data"');
  });

  test('a mutation by GET is refused, with the headers that CSRF protection asks for too', async () => {
    const url = `${app.urls.graphql}?query=${encodeURIComponent(OPERATION)}`;
    const answer = await exchange(url, { method: 'GET', headers: ['Apollo-Require-Preflight', 'true'] });
    expect(answer.status).toBe(405);
    await expectNothingDone();
  });
});
