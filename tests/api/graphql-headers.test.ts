import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput, Word } from '../support/both-ways.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const CREATE = { name: 'createDestination', inputType: 'CreateDestinationInput' };
const CREATE_QUERY = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id headers } }';

let app: TestApp;
let accountId: string;

beforeAll(async () => {
  app = await TestApp.start();
  ({ id: accountId } = await app.createAccount());
});

afterAll(() => app.stop());

function inputWith(headers: unknown): Record<string, unknown> {
  return { accountId, url: 'http://127.0.0.1:9/', httpMethod: 'POST', headers };
}

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-${index}`, `${index}`]));
}

/** The text of the answer, because order is not seen in a parsed object of some names. */
async function headersText(headers: unknown): Promise<string> {
  const { createDestination } = await app.data(CREATE_QUERY, { input: inputWith(headers) });
  const query = 'query ($id: ID!) { destination(id: $id) { headers } }';
  return JSON.stringify((await app.data(query, { id: createDestination.id })).destination.headers);
}

async function expectRefused(headers: unknown): Promise<void> {
  const { errors } = await app.graphql(CREATE_QUERY, { input: inputWith(headers) });
  expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field: 'headers' }]);
  expect(errors?.[0]?.message).toMatch(/^(?:The|There|All|A) .{10,}\.$/);
}

describe('headers that are allowed are kept as given', () => {
  test.each([
    { 'X-One': '1' },
    { zebra: '1', Apple: '2', 'm-m': '3', APPLE2: '4' },
    { 'X-List': ['b', 'a', 'b'], 'x-one': [''] },
    { "!#$%&'*+-.^_`|~aZ09": 'every character a name may have' },
    { 'X-Empty': '' },
    { 'X-Text': 'tätä 🙂 " \\ , ; = ' },
    { Authorization: 'Bearer abc', Cookie: 'a=b', 'Content-Type': 'application/cloudevents+json', Accept: '*/*' },
    { 'x-a': '1', 'X-A': '2' },
    { constructor: '1', toString: '2', hasOwnProperty: '3' },
  ] as Record<string, unknown>[])('%j', async (headers) => {
    expect(await headersText(headers)).toBe(JSON.stringify(headers));
  });

  test('a header with the name __proto__', async () => {
    expect(await headersText(JSON.parse('{"__proto__":"x","a":"b"}'))).toBe('{"__proto__":"x","a":"b"}');
  });

  test('and arrive in the same order, letter case and number', async () => {
    await using receiver = await Receiver.start();
    const { id, token } = await app.createAccount();
    const headers = { zEBRA: '1', 'X-List': ['b', 'a', 'b'], apple: 'ä', __proto__: 'own' };
    await app.createDestination(id, receiver.url(), { headers: JSON.parse(JSON.stringify(headers)) });
    await app.sendAccepted(token, '{}');
    const [received] = await receiver.arrived(1);
    const sent = ['zEBRA', '1', 'X-List', 'b', 'X-List', 'a', 'X-List', 'b', 'apple', 'Ã¤'];
    const raw = received?.rawHeaders ?? [];
    const from = raw.indexOf('zEBRA');
    expect(raw.slice(from, from + sent.length)).toEqual(sent);
  });

  test('written as a literal too', async () => {
    const mutation = `mutation { createDestination(input: { accountId: "${accountId}", url: "http://a.example",
      httpMethod: PUT, headers: { zebra: "1", Apple: ["2", "3"], __proto__: "4" } }) { headers } }`;
    const { createDestination } = await app.data(mutation);
    expect(JSON.stringify(createDestination.headers)).toBe('{"zebra":"1","Apple":["2","3"],"__proto__":"4"}');
  });
});

describe('headers that are refused, as variables and as literals', () => {
  test.each([
    null,
    {},
    [],
    'X: 1',
    5,
    true,
    [{ X: '1' }],
    { X: null },
    { X: 1 },
    { X: true },
    { X: {} },
    { X: [] },
    { X: ['a', 1] },
    { X: [['a']] },
    { X: [null] },
    { X: 'a\nb' },
    { X: 'a\r\nInjected: 1' },
    { X: 'a\0' },
    { X: '\t' },
    { X: '\u007f' },
    { X: '\u0085' },
    { X: ['fine', 'a\nb'] },
    { Good: '1', Host: 'x' },
    { X: 'x'.repeat(8_192) },
  ] as unknown[])('%j', (headers) =>
    expectBadInput(app, CREATE, { ...inputWith(headers), httpMethod: new Word('POST') }, 'headers'),
  );
});

describe('names that are refused', () => {
  test.each([
    'Host',
    'HOST',
    'Content-Length',
    'content-length',
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Expect',
    'eXpEcT',
    'HTTP2-Settings',
    'PROXY-STATUS',
    'proxy-',
    'Proxy-Anything',
    'TRANSFER-encoding',
    'webhook-id',
    'Webhook-Timestamp',
    'WEBHOOK-SIGNATURE',
    'webhook-anything',
    'webhook-',
    'data-pusher-hops',
    'Data-Pusher-Anything',
    'X-Event-Type',
    'x-event-id',
    'X-DELIVERY-ATTEMPT',
  ])('reserved: %s', (name) => expectRefused({ [name]: 'x' }));

  test.each([
    '',
    ' ',
    'a b',
    'a:',
    ':a',
    'a\n',
    'a\0',
    'ä',
    '🙂',
    'a/b',
    'a,b',
    '(a)',
    '"a"',
    'a=b',
    '{a}',
    '[a]',
    '@',
  ])('not a token: %j', (name) => expectRefused({ [name]: 'x' }));
});

describe('limits', () => {
  test('50 headers are allowed, 51 are not', async () => {
    expect(await headersText(many(50))).toBe(JSON.stringify(many(50)));
    await expectRefused(many(51));
  });

  test('repeated values count each', async () => {
    await headersText({ X: Array.from({ length: 50 }, () => 'a') });
    await expectRefused({ X: Array.from({ length: 50 }, () => 'a'), Y: 'b' });
  });

  test('8 KiB in all are allowed, one byte more is not', async () => {
    await headersText({ X: 'x'.repeat(8_191) });
    await expectRefused({ X: 'x'.repeat(8_192) });
    await expectRefused({ X: 'ä'.repeat(4_096) });
    await expectRefused({ A: 'x'.repeat(4_096), B: 'x'.repeat(4_096) });
  });

  test('a refused update keeps the headers there were', async () => {
    const { createDestination } = await app.data(CREATE_QUERY, { input: inputWith({ 'X-Old': '1' }) });
    const update = 'mutation ($id: ID!, $h: JSONObject) { updateDestination(id: $id, input: { headers: $h }) { id } }';
    for (const headers of [{}, null, many(51), { Host: 'x' }, { X: 1 }]) {
      const { errors } = await app.graphql(update, { id: createDestination.id, h: headers });
      expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'headers' });
    }
    const query = 'query ($id: ID!) { destination(id: $id) { headers } }';
    const { destination } = await app.data(query, { id: createDestination.id });
    expect(destination.headers).toEqual({ 'X-Old': '1' });
  });
});
