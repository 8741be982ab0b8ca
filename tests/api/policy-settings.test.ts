import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput, Word } from '../support/both-ways.ts';
import type { Intruder } from '../support/intruder.ts';
import { TestApp } from '../support/test-app.ts';

type Input = Readonly<Record<string, unknown>>;

const POLICY = 'policy { timeout retrySchedule maxConcurrency rateLimit { count per } stopOn orderBy }';
const GOOD = { url: 'https://hello.com/hook', httpMethod: 'POST', headers: { X: '1' } };
const DEFAULTS = {
  timeout: 'PT15S',
  retrySchedule: ['PT5S', 'PT30S', 'PT2M', 'PT10M', 'PT30M', 'PT1H', 'PT2H', 'PT5H', 'PT10H'],
  maxConcurrency: 32,
  rateLimit: null,
  stopOn: [],
  orderBy: null,
};
const EVERYTHING = {
  timeout: 'PT1M30S',
  retrySchedule: ['PT0S', 'PT0.25S', 'P7D'],
  maxConcurrency: 5,
  rateLimit: { count: 20, per: 'PT1M' },
  stopOn: [400, 404, 422],
  orderBy: 'customer.id',
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

async function create(fields: Input = {}, on = app, account = accountId) {
  const query = `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id ${POLICY} } }`;
  return (await on.data(query, { input: { accountId: account, ...GOOD, ...fields } })).createDestination;
}

async function policyOf(id: string) {
  return (await app.data(`query ($id: ID!) { destination(id: $id) { ${POLICY} } }`, { id })).destination.policy;
}

async function update(id: string, policy: Input | null) {
  const query = `mutation ($id: ID!, $input: UpdateDestinationInput!) {
    updateDestination(id: $id, input: $input) { ${POLICY} }
  }`;
  return (await app.data(query, { id, input: { policy } })).updateDestination.policy;
}

const good: Input[] = [
  { timeout: 'PT0.1S' },
  { timeout: 'PT2M' },
  { retrySchedule: [] },
  { retrySchedule: Array.from({ length: 20 }, () => 'PT24H') },
  { maxConcurrency: 1 },
  { maxConcurrency: 256 },
  { rateLimit: { count: 1, per: 'PT1S' } },
  { rateLimit: { count: 10_000, per: 'PT24H' } },
  { stopOn: [] },
  { stopOn: [300, 599] },
  { orderBy: '*' },
  { orderBy: 'data.items.0.sku' },
];

const bad: [field: string, value: unknown, place?: string][] = [
  ...['PT0S', 'PT0.099S', 'PT0.0994S', 'PT2M0.001S', 'P1D', '-PT1S', 'P1Y', 'P1M', 'x', '', 15, []].map(
    (value): [string, unknown] => ['timeout', value],
  ),
  ...[Array.from({ length: 21 }, () => 'PT1S'), ['P7DT0.001S'], ['-PT1S'], ['PT5S', 'P1M'], ['P1Y'], [null], [5]].map(
    (value): [string, unknown] => ['retrySchedule', value],
  ),
  ...[0, 257, -1, 1.5, '5', 2 ** 40].map((value): [string, unknown] => ['maxConcurrency', value]),
  ...[
    { count: 0, per: 'PT1S' },
    { count: 10_001, per: 'PT1S' },
    { count: 1, per: 'PT0.999S' },
    { count: 1, per: 'P1DT1S' },
  ].map((value): [string, unknown] => ['rateLimit', value]),
  ['rateLimit', { count: 1, per: 'P1Y' }, 'rateLimit.per'],
  ['rateLimit', { count: 1.5, per: 'PT1S' }, 'rateLimit.count'],
  ['rateLimit', { count: 1 }, 'rateLimit.per'],
  ['rateLimit', { per: 'PT1S' }, 'rateLimit.count'],
  ['rateLimit', { count: 1, per: 'PT1S', burst: 5 }, 'rateLimit.burst'],
  ['rateLimit', 5],
  ...[[200], [299], [600], [0], ['404'], [404, null], Array.from({ length: 51 }, () => 404)].map(
    (value): [string, unknown] => ['stopOn', value],
  ),
  ...['', '.', 'a..b', '__proto__', 'x'.repeat(201), 5].map((value): [string, unknown] => ['orderBy', value]),
  ['color', 'red'],
];

describe('a policy', () => {
  test("is the server's defaults unless something else was asked for", async () => {
    const created = await create();
    expect(created.policy).toEqual(DEFAULTS);
    expect(await policyOf(created.id)).toEqual(DEFAULTS);
    expect((await create({ policy: null })).policy).toEqual(DEFAULTS);
    expect((await create({ policy: {} })).policy).toEqual(DEFAULTS);
  });

  test("follows the server's settings where it is open", async () => {
    const other = await TestApp.start({
      DELIVERY_TIMEOUT: '3s',
      RETRY_SCHEDULE: '1s,90s',
      MAX_CONCURRENCY_PER_DESTINATION: '7',
    });
    try {
      const { id } = await other.createAccount();
      const defaults = { timeout: 'PT3S', retrySchedule: ['PT1S', 'PT1M30S'], maxConcurrency: 7 };
      expect((await create({}, other, id)).policy).toEqual({ ...DEFAULTS, ...defaults });
    } finally {
      await other.stop();
    }
  });

  test('is shown as it was set', async () => {
    const created = await create({ policy: EVERYTHING });
    expect(created.policy).toEqual(EVERYTHING);
    expect(await policyOf(created.id)).toEqual(EVERYTHING);
  });

  test.each(good)('takes %j', async (policy) => {
    expect((await create({ policy })).policy).toEqual({ ...DEFAULTS, ...policy });
  });

  test('takes durations of any form, and shows them in one', async () => {
    const { policy } = await create({
      policy: { timeout: 'PT1.5M', retrySchedule: ['P1W', 'PT0.0004S', 'PT36H'], rateLimit: { count: 1, per: 'P1D' } },
    });
    expect(policy).toMatchObject({
      timeout: 'PT1M30S',
      retrySchedule: ['P7D', 'PT0S', 'P1DT12H'],
      rateLimit: { count: 1, per: 'PT24H' },
    });
  });

  test.each(Object.keys(EVERYTHING))(
    'is updated field by field, and null goes back to the default: %s',
    async (field) => {
      const value = EVERYTHING[field as keyof typeof EVERYTHING];
      const original = DEFAULTS[field as keyof typeof DEFAULTS];
      const { id } = await create();
      expect(await update(id, { [field]: value })).toEqual({ ...DEFAULTS, [field]: value });
      expect(await update(id, {})).toEqual({ ...DEFAULTS, [field]: value });
      expect(await update(id, { [field]: null })).toEqual(DEFAULTS);
      expect(await update(id, EVERYTHING)).toEqual(EVERYTHING);
      expect(await update(id, { [field]: null })).toEqual({ ...EVERYTHING, [field]: original });
      expect(await policyOf(id)).toEqual({ ...EVERYTHING, [field]: original });
    },
  );

  test('goes back to all defaults when it is null', async () => {
    const { id } = await create({ policy: EVERYTHING });
    expect(await update(id, null)).toEqual(DEFAULTS);
    expect(await policyOf(id)).toEqual(DEFAULTS);
  });

  test('stays when something else is updated', async () => {
    const { id } = await create({ policy: EVERYTHING });
    const query = 'mutation ($id: ID!) { updateDestination(id: $id, input: { name: "Accounting" }) { id } }';
    await app.data(query, { id });
    expect(await policyOf(id)).toEqual(EVERYTHING);
  });

  test.each(bad)('is refused, and the path to the field is named: %s %j', async (field, value, place = field) => {
    const creation = { name: 'createDestination', inputType: 'CreateDestinationInput' };
    const input = { accountId, ...GOOD, httpMethod: new Word('POST'), policy: { [field]: value } };
    await expectBadInput(app, creation, input, `policy.${place}`);
    const { id } = await create({ policy: EVERYTHING });
    const updating = { name: 'updateDestination', inputType: 'UpdateDestinationInput', id };
    await expectBadInput(app, updating, { policy: { stopOn: [500], [field]: value } }, `policy.${place}`);
    expect(await policyOf(id)).toEqual(EVERYTHING);
  });

  test.each(['P1Y', 'P1M', 'P1Y2M3DT4H'])('has no years and months, and a sentence says so: %s', async (duration) => {
    for (const policy of [
      { timeout: duration },
      { retrySchedule: ['PT1S', duration] },
      { rateLimit: { count: 1, per: duration } },
    ]) {
      const { errors } = await app.graphql(
        'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }',
        { input: { accountId, ...GOOD, policy } },
      );
      expect(errors?.[0]?.message).toMatch(/ must be an ISO 8601 duration without years and months, /u);
    }
  });
});

async function versionOf(id: string): Promise<number> {
  const versions = Array.from({ length: 20 }, (_, index) => index + 1);
  const counts = await Promise.all(
    versions.map((version) => intruder.rowCount(`account where id = '${id}' and routing_version = ${version}`)),
  );
  return counts.indexOf(1) + 1;
}

test('only the order of a policy is a change of the routes', async () => {
  const { id: account } = await app.createAccount();
  const { id } = await create({}, app, account);
  const before = await versionOf(account);
  await update(id, { ...EVERYTHING, orderBy: undefined });
  expect(await versionOf(account)).toBe(before);
  await update(id, { orderBy: 'customer.id' });
  expect(await versionOf(account)).toBe(before + 1);
  await update(id, null);
  expect(await versionOf(account)).toBe(before + 2);
});
