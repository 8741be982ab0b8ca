import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';
import { verifies } from '../support/verification.ts';

const CREATE = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id transform } }';
const UPDATE =
  'mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { transform } }';

let app: TestApp;
let receiver: Receiver;
let accountId: string;

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
});
beforeEach(async () => {
  ({ id: accountId } = await app.createAccount());
});
afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

function input(transform: string | null | undefined) {
  return { accountId, url: receiver.url(), httpMethod: 'POST', headers: { X: '1' }, transform };
}

async function transformOf(id: string): Promise<string | null> {
  return (await app.data('query ($id: ID!) { destination(id: $id) { transform } }', { id })).destination.transform;
}

function expressionOf(bytes: number): string {
  return `{"a": "${'é'.repeat((bytes - 10) / 2)}"} `;
}

describe('an expression', () => {
  test('is shown exactly as it was given, changed, left alone and removed', async () => {
    const expression = '{\n  "who": customer.name, /* Zoë */\n  "n": $sum(items.(price * quantity))\n}\n';
    const { createDestination: created } = await app.data(CREATE, { input: input(expression) });
    expect(created.transform).toBe(expression);
    expect(await transformOf(created.id)).toBe(expression);
    for (const [patch, expected] of [
      [{ url: receiver.url('/b') }, expression],
      [{ transform: '$' }, '$'],
      [{ transform: null }, null],
    ] as const) {
      expect(await app.data(UPDATE, { id: created.id, input: patch })).toEqual({
        updateDestination: { transform: expected },
      });
      expect(await transformOf(created.id)).toBe(expected);
    }
  });

  test.each([null, undefined])('is none by %j', async (none) => {
    const { createDestination: created } = await app.data(CREATE, { input: input(none) });
    expect(created.transform).toBeNull();
  });

  test('has at most 8 KiB', async () => {
    expect(Buffer.byteLength(expressionOf(8_192))).toBe(8_192);
    await app.data(CREATE, { input: input(expressionOf(8_192)) });
    const { errors } = await app.graphql(CREATE, { input: input(expressionOf(8_194)) });
    expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'transform' });
    expect(errors?.[0]?.message).toBe('The transformation has at most 8192 bytes.');
  });

  test.each([
    ['{"a": 1', 'Expected "}" before end of expression (S0203, at position 7)'],
    ['$sum(a', 'Expected ")" before end of expression (S0203, at position 6)'],
    ['a.b c', 'Syntax error: "c" (S0201, at position 5)'],
    ['', 'Unexpected end of expression (S0207, at position 0)'],
    [`{"a": ${'['.repeat(8_000)}`, ''],
  ])('%j is refused, with the place', async (expression, reason) => {
    const refused = { code: 'BAD_USER_INPUT', field: 'transform' };
    const { createDestination: created } = await app.data(CREATE, { input: input('{"kept": 1}') });
    for (const { data, errors } of [
      await app.graphql(CREATE, { input: input(expression) }),
      await app.graphql(UPDATE, { id: created.id, input: { transform: expression } }),
    ]) {
      expect(data).toBeNull();
      expect(errors?.map(({ extensions }) => extensions)).toEqual([refused]);
      expect(errors?.[0]?.message).toContain(`The transformation is no JSONata expression: ${reason}`);
    }
    expect(await transformOf(created.id)).toBe('{"kept": 1}');
  });
});

describe('a preview', () => {
  const PREVIEW = `query ($id: ID!, $text: String!) {
    previewDelivery(destinationId: $id, payloadText: $text, reveal: true) {
      outcome path method url headers body curl error
    }
  }`;

  async function preview(transform: string, fields: Record<string, unknown> = {}, text = '{"n": 1.0}') {
    const id = await app.createDestination(accountId, receiver.url(), { transform, ...fields });
    const { previewDelivery } = await app.data(PREVIEW, { id, text });
    return { id, ...previewDelivery };
  }

  test('shows the transformed body and the signature over it', async () => {
    const { id, headers, body, curl, error } = await preview('{"m": n + 1, "text": "it\'s"}');
    expect([body, error]).toEqual([`{"m":2,"text":"it's"}`, null]);
    expect(headers).toMatchObject({ 'Content-Length': '21' });
    expect(curl).toContain(`{"m":2,"text":"it'\\''s"}`);
    const { destination } = await app.data(`{ destination(id: "${id}") { signingSecret } }`);
    const names = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
    const received = {
      method: 'POST',
      target: '/',
      rawHeaders: [],
      headers: Object.fromEntries(names),
      body: Buffer.from(body),
    };
    expect(verifies(received, destination.signingSecret)).toBe(true);
  });

  test('shows the query of a GET', async () => {
    const shown = await preview('{"m": n + 1}', { httpMethod: 'GET' });
    expect(shown).toMatchObject({ url: receiver.url('/?m=2'), body: null, error: null });
  });

  test('shows why a transformation fails, whatever the route is', async () => {
    expect(await preview('n', { filter: { n: 2 } })).toEqual({
      id: expect.any(String),
      outcome: 'FILTERED',
      path: 'n',
      method: 'POST',
      url: null,
      headers: null,
      body: null,
      curl: null,
      error: 'TRANSFORM_FAILED: The result must be a JSON object, and it is a number.',
    });
  });
});
