import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput, Word } from '../support/both-ways.ts';
import { TestApp } from '../support/test-app.ts';

const CREATE = { name: 'createDestination', inputType: 'CreateDestinationInput' };
const FIELDS = 'id url httpMethod headers createdAt updatedAt account { id }';
const GOOD = { url: 'https://hello.com/hook', httpMethod: new Word('POST'), headers: { X: '1' } };

let app: TestApp;
let accountId: string;

beforeAll(async () => {
  app = await TestApp.start();
  ({ id: accountId } = await app.createAccount());
});

afterAll(() => app.stop());

async function create(fields: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const query = `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { ${FIELDS} } }`;
  return (await app.data(query, { input: { accountId, ...GOOD, ...fields } })).createDestination;
}

async function read(id: unknown): Promise<Record<string, unknown>> {
  return (await app.data(`query ($id: ID!) { destination(id: $id) { ${FIELDS} } }`, { id })).destination;
}

async function update(id: unknown, input: Record<string, unknown>): Promise<Record<string, unknown>> {
  const query = `mutation ($id: ID!, $input: UpdateDestinationInput!) {
    updateDestination(id: $id, input: $input) { ${FIELDS} }
  }`;
  return (await app.data(query, { id, input })).updateDestination;
}

async function countOf(account: string): Promise<number> {
  return (await app.data('query ($id: ID!) { destinations(accountId: $id) { id } }', { id: account })).destinations
    .length;
}

const badFields: [field: string, value: unknown][] = [
  ...[
    '',
    ' ',
    'hello.com',
    '/hook',
    '//hello.com/hook',
    'ftp://hello.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http:',
    'http://',
    'http://?a=1',
    'http:///',
    'http://a b.example/',
    'http://hello.com/a b',
    'http://hello.com/\n',
    'http://hello.com/\0',
    ' http://hello.com/',
    'http://hello.com:99999/',
    'http://[::1',
    'http://user@hello.com/',
    'http://user:secret@hello.com/',
    'http://:secret@hello.com/',
    'http://@hello.com/',
    `http://hello.com/${'x'.repeat(8_000)}`,
    5,
    null,
    [],
    {},
  ].map((value): [string, unknown] => ['url', value]),
  ...[new Word('TRACE'), new Word('HEAD'), new Word('post'), 'nope', '', 5, null, true, []].map(
    (value): [string, unknown] => ['httpMethod', value],
  ),
];

describe('createDestination', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('makes one with the method %s', async (httpMethod) => {
    const created = await create({ httpMethod });
    expect(created).toMatchObject({ httpMethod, url: GOOD.url, headers: { X: '1' }, account: { id: accountId } });
    expect(await read(created['id'])).toEqual(created);
  });

  test.each([
    'http://hello.com',
    'HTTPS://Hello.COM:443/A/../b?x=1&x=2#frag',
    'http://127.0.0.1:8080/%7Euser?q=a+b%20c',
    'http://[::1]:80/',
    'http://hello.com/users/@ann?mail=a@b.example',
    'http://münchen.example/straße?ü=ö',
    'http://hello.com?no=slash',
  ])('keeps the URL %s exactly as given', async (url) => {
    expect((await read((await create({ url }))['id']))['url']).toBe(url);
  });

  test.each(badFields)('refuses the %s %j', async (field, value) => {
    const before = await countOf(accountId);
    await expectBadInput(app, CREATE, { accountId, ...GOOD, [field]: value }, field);
    expect(await countOf(accountId)).toBe(before);
  });

  test.each(['accountId', 'url', 'httpMethod', 'headers'])('refuses an input without %s', (field) =>
    expectBadInput(app, CREATE, { accountId, ...GOOD, [field]: undefined }, field),
  );

  test.each(['id', 'createdAt', 'account'])('refuses a field that is not to be given: %s', (field) =>
    expectBadInput(app, CREATE, { accountId, ...GOOD, [field]: 'x' }, field),
  );
});

describe('updateDestination', () => {
  test.each([...badFields, ['id', 'x'], ['accountId', 'x']] as [string, unknown][])(
    'refuses the %s %j and changes nothing',
    async (field, value) => {
      const before = await create();
      const mutation = { name: 'updateDestination', inputType: 'UpdateDestinationInput', id: before['id'] as string };
      const good = field === 'url' ? { httpMethod: new Word('PUT') } : { url: 'http://changed.example/' };
      await expectBadInput(app, mutation, { ...good, [field]: value }, field);
      expect(await read(before['id'])).toEqual(before);
    },
  );

  test.each([
    { url: 'http://new.example/?a#b' },
    { httpMethod: 'DELETE' },
    { headers: { 'X-New': ['1', '2'] } },
    { url: 'http://new.example/', httpMethod: 'GET', headers: { A: 'b' } },
    {},
  ] as Record<string, unknown>[])('changes only what is given: %j', async (input) => {
    const before = await create();
    const after = await update(before['id'], input);
    expect(after).toEqual({ ...before, ...input, updatedAt: expect.any(String) });
    expect(await read(before['id'])).toEqual(after);
  });
});

describe('the limit of 100 destinations an account', () => {
  test('holds for creations that race; a deletion makes room; other accounts are not touched', async () => {
    const { id } = await app.createAccount();
    for (let count = 0; count < 95; count += 1) {
      await create({ accountId: id });
    }
    const query = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
    const input = { accountId: id, ...GOOD };
    const answers = await Promise.all(Array.from({ length: 10 }, () => app.graphql(query, { input })));
    const codes = answers.flatMap(({ errors }) => errors ?? []).map(({ extensions }) => extensions.code);
    expect(codes).toEqual(Array.from({ length: 5 }, () => 'CONFLICT'));
    expect(await countOf(id)).toBe(100);
    const { destinations } = await app.data('query ($id: ID!) { destinations(accountId: $id) { id } }', { id });
    await app.data('mutation ($id: ID!) { deleteDestination(id: $id) }', { id: destinations[7].id });
    await create({ accountId: id });
    expect(await countOf(id)).toBe(100);
    await create();
  });
});
