import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput, Word } from '../support/both-ways.ts';
import type { Intruder } from '../support/intruder.ts';
import { TestApp } from '../support/test-app.ts';

type Input = Readonly<Record<string, unknown>>;

const FIELDS = 'id url httpMethod headers name description eventTypes filter disabledAt updatedAt';
const GOOD = { url: 'https://hello.com/hook', httpMethod: 'POST', headers: { X: '1' } };
const NOTHING = { name: null, description: null, eventTypes: null, filter: null };
const EVERYTHING = {
  name: 'Accounting',
  description: 'What is paid,\nand what is refunded.',
  eventTypes: ['order.paid', 'refund.*', 'data-pusher.x'],
  filter: { z: 1, 'data.kind': { $in: ['x', null] }, a: { b: { $not: { $gte: 2.5 } } }, $or: [{ c: true }, {}] },
};

let app: TestApp;
let intruder: Intruder;
let accountId: string;

beforeAll(async () => {
  app = await TestApp.start();
  intruder = await app.intrude();
  ({ id: accountId } = await app.createAccount());
});

afterAll(async () => {
  await intruder.close();
  await app.stop();
});

async function create(fields: Input = {}, account = accountId) {
  const query = `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { ${FIELDS} } }`;
  return (await app.data(query, { input: { accountId: account, ...GOOD, ...fields } })).createDestination;
}

async function read(id: string) {
  return (await app.data(`query ($id: ID!) { destination(id: $id) { ${FIELDS} } }`, { id })).destination;
}

async function update(id: string, input: Input) {
  const query = `mutation ($id: ID!, $input: UpdateDestinationInput!) {
    updateDestination(id: $id, input: $input) { ${FIELDS} }
  }`;
  return (await app.data(query, { id, input })).updateDestination;
}

function nested(depth: number): Input {
  return depth === 0 ? { $exists: true } : { a: nested(depth - 1) };
}

const badFields: [field: string, value: unknown][] = [
  ...['', ' \n', 'x'.repeat(101), 'a\0b', 5, []].map((value): [string, unknown] => ['name', value]),
  ...['', ' ', 'x'.repeat(1_001), 'a\0b', {}].map((value): [string, unknown] => ['description', value]),
  ...[
    [],
    [''],
    ['*'],
    ['.*'],
    ['order*'],
    ['order.**'],
    ['a b'],
    ['ü'],
    ['x'.repeat(129)],
    ['ok', 5],
    ['ok', null],
    Array.from({ length: 51 }, (_, index) => `t${index}`),
    5,
    {},
  ].map((value): [string, unknown] => ['eventTypes', value]),
  ...[5, 'x', [], true, { a: [1] }, { a: 2 ** 53 }, { a: 'x'.repeat(8_192) }].map((value): [string, unknown] => [
    'filter',
    value,
  ]),
];

/** GraphQL's literals cannot spell these keys. */
const badKeys: [at: string, filter: Input][] = [
  ['a.$gt', { a: { $gt: true } }],
  ['a.$in', { a: { $in: 'x' } }],
  ['a.$exists', { a: { $exists: 1 } }],
  ['a.$nin', { a: { $nin: [-9_007_199_254_740_992] } }],
  ['$or', { $or: [] }],
  ['$and.0', { $and: [1] }],
  ['a..b', { 'a..b': 1 }],
  ['a.$not', { a: { $not: {} } }],
  ['a.a.a.a.a.a.a.a.a.a', nested(10)],
  ['data.total.$lowest', { data: { total: { $lowest: 1 } } }],
  ['$where', { $where: 'true' }],
  ['a.$regex', { a: { $regex: 'x' } }],
  ['$gt', { $gt: 1 }],
  ['a.__proto__', { a: JSON.parse('{ "__proto__": 1 }') as Input }],
  ['$or.1.b.$size', { $or: [{ a: 1 }, { b: { $size: 1 } }] }],
];

describe('createDestination', () => {
  test('without them makes a destination that takes everything', async () => {
    const created = await create();
    expect(created).toMatchObject(NOTHING);
    expect(await read(created.id)).toEqual(created);
    expect(await create(NOTHING)).toMatchObject(NOTHING);
  });

  test('keeps what is given, and the order of the keys', async () => {
    const created = await create({ ...EVERYTHING, name: '  Accounting ' });
    expect(created).toMatchObject(EVERYTHING);
    expect(JSON.stringify((await read(created.id)).filter)).toBe(JSON.stringify(EVERYTHING.filter));
  });

  test('takes the longest of each', async () => {
    const longest = {
      name: '✓'.repeat(100),
      description: '✓'.repeat(1_000),
      eventTypes: Array.from({ length: 50 }, (_, index) => `${index}`.padEnd(128, 'x')),
      filter: nested(9),
    };
    expect(await create(longest)).toMatchObject(longest);
    expect(await create({ filter: {} })).toMatchObject({ filter: {} });
  });

  test.each(badFields)('refuses the %s %j', async (field, value) => {
    const mutation = { name: 'createDestination', inputType: 'CreateDestinationInput' };
    const input = { accountId, ...GOOD, httpMethod: new Word('POST'), [field]: value };
    await expectBadInput(app, mutation, input, field);
  });

  test.each(badKeys)('refuses a filter and names the place: %s', async (at, filter) => {
    const query = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
    const { data, errors } = await app.graphql(query, { input: { accountId, ...GOOD, filter } });
    expect([data, errors?.map(({ extensions }) => extensions)]).toEqual([
      null,
      [{ code: 'BAD_USER_INPUT', field: 'filter' }],
    ]);
    expect(errors?.[0]?.message).toContain(`at ${at}: `);
  });
});

describe('updateDestination', () => {
  test.each(Object.keys(EVERYTHING))('sets, keeps and removes the %s', async (field) => {
    const value = EVERYTHING[field as keyof typeof EVERYTHING];
    const before = await create();
    const set = await update(before.id, { [field]: value });
    expect(set).toEqual({ ...before, [field]: value, updatedAt: expect.any(String) });
    expect(await update(before.id, { headers: { Y: '2' } })).toMatchObject({ [field]: value, headers: { Y: '2' } });
    expect(await update(before.id, { [field]: null })).toMatchObject(NOTHING);
    expect(await read(before.id)).toMatchObject(NOTHING);
  });

  test.each(badFields)('refuses the %s %j and changes nothing', async (field, value) => {
    const before = await create(EVERYTHING);
    const mutation = { name: 'updateDestination', inputType: 'UpdateDestinationInput', id: before.id };
    await expectBadInput(app, mutation, { url: 'http://changed.example/', [field]: value }, field);
    expect(await read(before.id)).toEqual(before);
  });
});

describe("an account's eventTypePath", () => {
  const ACCOUNT = 'id name eventTypePath';
  const CHANGE = `mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { ${ACCOUNT} } }`;

  async function createWith(fields: Input) {
    const query = `mutation ($input: CreateAccountInput!) { createAccount(input: $input) { ${ACCOUNT} } }`;
    const input = { email: `${crypto.randomUUID()}@example.com`, name: 'A', ...fields };
    return (await app.data(query, { input })).createAccount;
  }

  test('is none by default, and can be set, kept and removed', async () => {
    const { id, eventTypePath } = await createWith({});
    expect(eventTypePath).toBeNull();
    const change = async (input: Input) => (await app.data(CHANGE, { id, input })).updateAccount.eventTypePath;
    expect(await change({ eventTypePath: 'data.0.kind' })).toBe('data.0.kind');
    expect(await change({ name: 'B' })).toBe('data.0.kind');
    expect(await change({ eventTypePath: null })).toBeNull();
    expect((await createWith({ eventTypePath: 'type' })).eventTypePath).toBe('type');
    expect((await createWith({ eventTypePath: null })).eventTypePath).toBeNull();
  });

  const bad = ['', '.', 'a.', '.a', 'a..b', 'a.__proto__', 'x'.repeat(201), 'a.b.c.d.e.f.g.h.i.j.k', 'a\0', 5, []];

  test.each(bad)('is refused as %j', async (eventTypePath) => {
    const email = `${crypto.randomUUID()}@example.com`;
    const creation = { name: 'createAccount', inputType: 'CreateAccountInput' };
    await expectBadInput(app, creation, { email, name: 'A', eventTypePath }, 'eventTypePath');
    const updating = { name: 'updateAccount', inputType: 'UpdateAccountInput', id: accountId };
    await expectBadInput(app, updating, { eventTypePath }, 'eventTypePath');
  });
});

async function versionOf(id: string): Promise<number> {
  for (let version = 1; version < 50; version += 1) {
    if ((await intruder.rowCount(`account where id = '${id}' and routing_version = ${version}`)) === 1) {
      return version;
    }
  }
  throw new Error('There is no such account, or its version is beyond all expectation.');
}

async function stepsOf(id: string, act: () => Promise<unknown>): Promise<number> {
  const before = await versionOf(id);
  await act();
  return (await versionOf(id)) - before;
}

describe('the version of the routes', () => {
  test('counts what changes where events go, and nothing else', async () => {
    const { id: account } = await app.createAccount();
    const { id } = await create({}, account);
    const deletion = `mutation { deleteDestination(id: "${id}") }`;
    expect(await versionOf(account)).toBe(2);
    const changeAccount = (fields: string) =>
      app.data(`mutation { updateAccount(id: "${account}", input: ${fields}) { id } }`);
    expect(await stepsOf(account, () => update(id, { filter: { a: 1 } }))).toBe(1);
    expect(await stepsOf(account, () => update(id, { filter: null, eventTypes: ['a'] }))).toBe(1);
    expect(await stepsOf(account, () => update(id, { enabled: false }))).toBe(1);
    expect(await stepsOf(account, () => update(id, { enabled: true }))).toBe(1);
    expect(await stepsOf(account, () => update(id, { name: 'N', description: 'D' }))).toBe(0);
    expect(await stepsOf(account, () => update(id, { url: 'http://new.example/', headers: { A: 'b' } }))).toBe(0);
    expect(await stepsOf(account, () => changeAccount('{ eventTypePath: "type" }'))).toBe(1);
    expect(await stepsOf(account, () => changeAccount('{ name: "B" }'))).toBe(0);
    expect(await stepsOf(account, () => app.data(deletion))).toBe(1);
    expect(await stepsOf(account, () => app.graphql(deletion))).toBe(0);
  });

  test('does not count what is refused', async () => {
    const { id: account } = await app.createAccount();
    const { id } = await create({}, account);
    const query =
      'mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { id } }';
    const refused = () => app.graphql(query, { id, input: { enabled: false, filter: { $no: 1 } } });
    expect(await stepsOf(account, refused)).toBe(0);
  });

  test('counts each of many changes at the same time, which do not wait for each other in a circle', async () => {
    const { id: account } = await app.createAccount();
    const made = await Promise.all(Array.from({ length: 4 }, () => create({}, account)));
    const changes = made.flatMap(({ id }, index) => [
      () => update(id, { filter: { a: index } }),
      () => update(id, { eventTypes: [`t${index}`], url: 'http://new.example/' }),
      () => create({}, account),
    ]);
    const rotate = 'mutation ($id: ID!) { rotateSigningSecret(destinationId: $id) { id } }';
    const steps = await stepsOf(account, () =>
      Promise.all([...changes.map((change) => change()), ...made.map(({ id }) => app.data(rotate, { id }))]),
    );
    expect(steps).toBe(changes.length);
  });
});
