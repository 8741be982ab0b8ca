import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { graphqlSchema } from '../../src/graphql/schema.ts';
import { ADMIN_TOKEN, administratorOf, Caller } from '../support/caller.ts';
import { createHousehold, type Household } from '../support/household.ts';
import { ADMINISTRATION, type Kind, OPERATIONS, READ_WHOLE_ACCOUNT, refusesUnknown } from '../support/operations.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const UNKNOWN = '00000000-0000-7000-8000-000000000000';
const READS = OPERATIONS.filter((one) => !refusesUnknown(one));
const PREVIEW = OPERATIONS.find(({ field }) => field === 'previewDelivery');
const MUTATIONS = OPERATIONS.filter(({ type }) => type === 'mutation');
const NOBODIES: [string, Record<string, string>][] = [
  ['nobody', {}],
  ['a wrong administrator', { Authorization: `Bearer ${ADMIN_TOKEN}x` }],
  ['a wrong account', { 'CL-X-TOKEN': 'ABCDEFGHIJKLMNOP' }],
];

let app: TestApp;
let receiver: Receiver;
let administrator: Caller;
let mine: Household;
let theirs: Household;

beforeAll(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({ ADMIN_TOKEN });
  administrator = administratorOf(app);
  mine = await createHousehold(administrator, receiver);
  theirs = await createHousehold(administrator, receiver);
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

test('the table has every operation of the API', async () => {
  const schema = await graphqlSchema();
  const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
    Object.keys(type?.getFields() ?? {}),
  );
  const listed = [...OPERATIONS.map(({ field }) => field), ...Object.keys(ADMINISTRATION)];
  expect(listed.toSorted()).toEqual(fields.toSorted());
});

describe('the administrator', () => {
  test.each(READS)('may read any $on by $field', async ({ field, on, text }) => {
    expect((await administrator.data(text(theirs.ids[on])))[field]).toMatchObject(
      field === 'destinations' ? [{ id: theirs.ids.destination }] : { id: theirs.ids[on] },
    );
  });

  test('may preview a delivery to any destination', async () => {
    const { previewDelivery } = await administrator.data(PREVIEW?.text(theirs.ids.destination) ?? '');
    expect(previewDelivery.headers).toMatchObject({ 'X-Secret': theirs.ids.account });
  });

  test.each(MUTATIONS)('may change any $on by $field', async ({ field, on, text }) => {
    const { ids } = await createHousehold(administrator, receiver);
    expect((await administrator.data(text(ids[on])))[field]).toBeTruthy();
  });

  test.each(Object.entries(ADMINISTRATION))('may ask for %s', async (field, text) => {
    expect((await administrator.data(text))[field]).toBeTruthy();
  });
});

describe('an account', () => {
  test.each(READS)('reads all of its own $on by $field, as the administrator does', async ({ on, text }) => {
    const seen = await mine.caller.data(text(mine.ids[on]));
    expect(seen).toEqual(await administrator.data(text(mine.ids[on])));
    expect(JSON.stringify(seen)).toContain(mine.ids.delivery);
  });

  test('may preview a delivery to its own destination', async () => {
    const { previewDelivery } = await mine.caller.data(PREVIEW?.text(mine.ids.destination) ?? '');
    expect(previewDelivery.headers).toMatchObject({ 'X-Secret': mine.ids.account });
  });

  test.each(MUTATIONS)('may change its own $on by $field', async ({ field, on, text }) => {
    const { caller, ids } = await createHousehold(administrator, receiver);
    expect((await caller.data(text(ids[on])))[field]).toBeTruthy();
  });

  test.each(OPERATIONS)("is told by $field of another account's $on what it is told of none", async ({ on, text }) => {
    const before = await wholeOf(theirs);
    const answer = await mine.caller.graphql(text(theirs.ids[on]));
    expect(answer).toEqual(await mine.caller.graphql(text(UNKNOWN)));
    expect(answer.data).toEqual(answer.errors === undefined ? nothing(answer.data) : null);
    expect(await wholeOf(theirs)).toEqual(before);
  });

  test.each(Object.entries(ADMINISTRATION))('is refused %s', async (_field, text) => {
    const { data, errors } = await mine.caller.graphql(text);
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'FORBIDDEN' }]);
    expect(data).toBeNull();
  });

  test('does by one request nothing to another account, though the rest of it is its own', async () => {
    const { caller, ids } = await createHousehold(administrator, receiver);
    const before = await wholeOf(theirs);
    const { errors } = await caller.graphql(
      `mutation {
        own: updateAccount(id: "${ids.account}", input: { name: "Mine" }) { name }
        other: updateAccount(id: "${theirs.ids.account}", input: { name: "Mine" }) { name }
      }`,
    );
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await caller.data(`{ account(id: "${ids.account}") { name } }`)).account.name).toBe('Mine');
    expect(await wholeOf(theirs)).toEqual(before);
  });

  test("gets no other's entries by a cursor that is another's id", async () => {
    const after = Buffer.from(`${theirs.ids.event.slice(0, -1)}f`).toString('base64url');
    const query = 'query ($id: ID!, $after: String) { account(id: $id) { events(after: $after) { nodes { id } } } }';
    const { account } = await mine.caller.data(query, { id: mine.ids.account, after });
    expect(account.events.nodes).toEqual([{ id: mine.ids.event }]);
  });
});

describe.each(NOBODIES)('%s', (_title, headers) => {
  const texts = OPERATIONS.map(({ field, on, text }) => [field, on, text] as const);

  test.each(texts)('is not answered %s', async (_field, on: Kind, text) => {
    await expectUnauthenticated(new Caller(app, headers), text(theirs.ids[on]));
  });

  test.each(Object.entries(ADMINISTRATION))('is not answered %s', async (_field, text) => {
    await expectUnauthenticated(new Caller(app, headers), text);
  });
});

async function expectUnauthenticated(caller: Caller, text: string): Promise<void> {
  const before = await wholeOf(theirs);
  const { status, data, errors } = await caller.graphql(text);
  expect([status, data, errors?.map(({ extensions }) => extensions)]).toEqual([
    401,
    undefined,
    [{ code: 'UNAUTHENTICATED' }],
  ]);
  expect(await wholeOf(theirs)).toEqual(before);
}

async function wholeOf({ ids }: Household): Promise<unknown> {
  return administrator.data(READ_WHOLE_ACCOUNT, { id: ids.account });
}

/** The same answer with null or an empty list for what was asked for. */
function nothing(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).map(([field, value]) => [field, Array.isArray(value) ? [] : null]));
}
