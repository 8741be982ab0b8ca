import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput } from '../support/both-ways.ts';
import { TestApp } from '../support/test-app.ts';

const CREATE = { name: 'createAccount', inputType: 'CreateAccountInput' };
const FIELDS = 'id email name website appSecretToken createdAt updatedAt';

let app: TestApp;
let counter = 0;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

function freshEmail(): string {
  counter += 1;
  return `user${counter}@example.com`;
}

async function create(fields: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const query = `mutation ($input: CreateAccountInput!) { createAccount(input: $input) { ${FIELDS} } }`;
  return (await app.data(query, { input: { email: freshEmail(), name: 'A', ...fields } })).createAccount;
}

async function read(id: unknown): Promise<Record<string, string>> {
  return (await app.data(`query ($id: ID!) { account(id: $id) { ${FIELDS} } }`, { id })).account;
}

async function accountCount(): Promise<number> {
  return (await app.data('{ accounts { totalCount } }')).accounts.totalCount;
}

async function update(id: unknown, input: Record<string, unknown>): Promise<Record<string, string>> {
  const query = `mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { ${FIELDS} } }`;
  return (await app.data(query, { id, input })).updateAccount;
}

/** What both mutations refuse, as the field and its value. */
const badFields: [field: string, value: unknown][] = [
  ...[
    '',
    ' ',
    'nope',
    'a@',
    '@b.example',
    'a b@c.example',
    'a@b@c.example',
    'a@b.example\n',
    5,
    null,
    true,
    {},
    [],
  ].map((value): [string, unknown] => ['email', value]),
  ...['', ' ', '\t\n\u00a0\u3000', 'x'.repeat(201), '🙂'.repeat(201), 'a\0b', 5, null, false, []].map(
    (value): [string, unknown] => ['name', value],
  ),
  ...[
    '',
    ' ',
    'nope',
    'hello com',
    'ftp://hello.com',
    'javascript:alert(1)',
    'http://',
    'https://a b',
    'http://hello.com/\0',
    'hello.com/\0',
    'hello.com/\x07',
    `hello.com/${'x'.repeat(2_000)}`,
    '//hello.com',
    5,
  ].map((value): [string, unknown] => ['website', value]),
];
const generated: [field: string, value: unknown][] = [
  ['id', '00000000-0000-7000-8000-000000000000'],
  ['appSecretToken', 'AAAAAAAAAAAAAAAA'],
  ['createdAt', '2020-01-01T00:00:00Z'],
];

describe('createAccount', () => {
  test('answers what was given, and makes id, token and times itself', async () => {
    const created = await create({ email: 'Ann.Lee+x@Example.com', name: 'Ann', website: 'https://hello.com/a?b#c' });
    expect(created).toMatchObject({ email: 'Ann.Lee+x@Example.com', name: 'Ann', website: 'https://hello.com/a?b#c' });
    expect(created['createdAt']).toBe(created['updatedAt']);
    expect(Math.abs(Date.now() - Date.parse(created['createdAt'] ?? ''))).toBeLessThan(60_000);
    expect(await read(created['id'])).toEqual(created);
  });

  test.each([...badFields, ...generated])('refuses the %s %j', async (field, value) => {
    const before = await accountCount();
    await expectBadInput(app, CREATE, { email: freshEmail(), name: 'A', [field]: value }, field);
    expect(await accountCount()).toBe(before);
  });

  test.each(['email', 'name'])('refuses an input without %s', (field) =>
    expectBadInput(app, CREATE, { email: freshEmail(), name: 'A', [field]: undefined }, field),
  );

  test.each([
    ['  Ann \n', 'Ann'],
    ['\u00a0\u3000Ann\u2003', 'Ann'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['🙂'.repeat(200), '🙂'.repeat(200)],
    [` ${'x'.repeat(200)} `, 'x'.repeat(200)],
  ])('trims the name %j', async (given, kept) => {
    expect((await create({ name: given }))['name']).toBe(kept);
  });

  test.each(['hello.com', 'www.hello.com', 'HELLO.com', 'http://hello.com', 'HTTPS://hello.com:8443/x?y=1#z', null])(
    'keeps the website %j as given',
    async (website) => {
      expect((await create({ website }))['website']).toBe(website);
    },
  );
});

describe('updateAccount', () => {
  test.each([...badFields, ...generated])('refuses the %s %j and changes nothing', async (field, value) => {
    const before = await create({ website: 'hello.com' });
    const mutation = { name: 'updateAccount', inputType: 'UpdateAccountInput', id: before['id'] as string };
    // The good field beside the bad one must not be taken over either.
    const good = field === 'name' ? { email: freshEmail() } : { name: 'Changed' };
    await expectBadInput(app, mutation, { ...good, [field]: value }, field);
    expect(await read(before['id'])).toEqual(before);
  });

  test.each([
    [{ name: ' B ' }, { name: 'B' }],
    [{ email: 'New@example.com' }, { email: 'New@example.com' }],
    [{ website: 'hello.org' }, { website: 'hello.org' }],
    [{ website: null }, { website: null }],
    [{}, {}],
  ] as [Record<string, unknown>, Record<string, unknown>][])(
    'changes only what is given: %j',
    async (input, changed) => {
      const before = await create({ website: 'hello.com' });
      const after = await update(before['id'], input);
      expect(after).toEqual({ ...before, ...changed, updatedAt: expect.any(String) });
      expect(Date.parse(after['updatedAt'] ?? '')).toBeGreaterThanOrEqual(Date.parse(before['updatedAt'] ?? ''));
      expect(await read(before['id'])).toEqual(after);
    },
  );
});

describe('an email address is unique without regard to letter case', () => {
  const query = 'mutation ($email: EmailAddress!) { createAccount(input: { email: $email, name: "A" }) { id } }';

  test('a second account is refused with CONFLICT', async () => {
    await create({ email: 'Taken@example.com' });
    const { errors } = await app.graphql(query, { email: 'tAKEN@EXAMPLE.COM' });
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'CONFLICT', field: 'email' }]);
  });

  test('an update to an address of another account is refused and changes nothing', async () => {
    await create({ email: 'first@example.com' });
    const second = await create();
    const { errors } = await app.graphql(
      'mutation ($id: ID!) { updateAccount(id: $id, input: { email: "FIRST@example.com", name: "B" }) { id } }',
      { id: second['id'] },
    );
    expect(errors?.[0]?.extensions.code).toBe('CONFLICT');
    expect(await read(second['id'])).toEqual(second);
  });

  test('an account may change the letter case of its own', async () => {
    const { id } = await create({ email: 'own@example.com' });
    expect((await update(id, { email: 'OWN@example.com' }))['email']).toBe('OWN@example.com');
  });

  test('an address is free again after an update or a deletion', async () => {
    const { id } = await create({ email: 'moving@example.com' });
    await update(id, { email: freshEmail() });
    const next = await create({ email: 'Moving@example.com' });
    await app.data('mutation ($id: ID!) { deleteAccount(id: $id) }', { id: next['id'] });
    expect((await create({ email: 'MOVING@example.com' }))['email']).toBe('MOVING@example.com');
  });

  test('of ten that race, exactly one is created', async () => {
    const before = await accountCount();
    const emails = Array.from({ length: 10 }, (_, index) => {
      const letters = 'racer';
      return `${letters.slice(0, index % 5)}${letters.slice(index % 5).toUpperCase()}@example.com`;
    });
    const answers = await Promise.all(emails.map((email) => app.graphql(query, { email })));
    const refused = answers.flatMap(({ errors }) => errors ?? []);
    expect(refused.map(({ extensions }) => extensions.code)).toEqual(Array.from({ length: 9 }, () => 'CONFLICT'));
    expect(await accountCount()).toBe(before + 1);
  });
});

// Only as variables: in a query's text such an escape is a syntax error.
test.each(['name', 'website'])('a lone surrogate in the %s is refused, because it could not be kept', async (field) => {
  const query = 'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }';
  const input = { email: freshEmail(), name: 'A', [field]: 'hello.com/\ud800' };
  const { errors } = await app.graphql(query, { input });
  expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
});
