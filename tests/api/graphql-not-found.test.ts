import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

const unknownIds = [
  '00000000-0000-7000-8000-000000000000',
  '00000000-0000-7000-8000-00000000000Z',
  'nonsense',
  '',
  ' ',
  '0',
  "' or 1=1 --",
  '%',
  '\u0000',
  '\ud800',
  '__proto__',
  'x'.repeat(10_000),
];

describe.each(unknownIds.map((id) => [JSON.stringify(id).slice(0, 40), id]))('the unknown id %s', (_title, id) => {
  test.each(['account', 'destination', 'event', 'delivery'])('is null as %s', async (field) => {
    expect(await app.data(`query ($id: ID!) { ${field}(id: $id) { id } }`, { id })).toEqual({ [field]: null });
  });

  test('has no destinations', async () => {
    const query = 'query ($id: ID!) { destinations(accountId: $id) { id } }';
    expect(await app.data(query, { id })).toEqual({ destinations: [] });
  });

  test.each([
    'updateAccount(id: $id, input: { name: "A" }) { id }',
    'deleteAccount(id: $id)',
    'rotateAppSecretToken(accountId: $id) { id }',
    'createDestination(input: { accountId: $id, url: "http://a.example", httpMethod: GET, headers: { X: "1" } }) { id }',
    'updateDestination(id: $id, input: { url: "http://a.example" }) { id }',
    'deleteDestination(id: $id)',
    'rotateSigningSecret(destinationId: $id) { id }',
    'retryDelivery(id: $id) { id }',
  ])('is NOT_FOUND to %s', async (mutation) => {
    const { data, errors } = await app.graphql(`mutation ($id: ID!) { ${mutation} }`, { id });
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'NOT_FOUND' }]);
    expect(errors?.[0]?.message).toMatch(/^There is no \w+ with this id\.$/);
    expect(data).toBeNull();
  });
});

test('the id of one kind is unknown as any other kind', async () => {
  const { id } = await app.createAccount();
  const query = 'query ($id: ID!) { destination(id: $id) { id } event(id: $id) { id } delivery(id: $id) { id } }';
  expect(await app.data(query, { id })).toEqual({ destination: null, event: null, delivery: null });
});
