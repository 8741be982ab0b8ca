import { request } from 'node:http';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type BatchRequest, numberedBatch, postBatch } from '../support/batch.ts';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const NDJSON = 'application/x-ndjson';
/** As no serializer would write them. */
const ODD_EVENTS = [
  '{}',
  '{ "a" : 1.0,\t"a":\r\n 2, "b":"\\u00e9\\u0000\\/" }',
  '{"é🙂":12345678901234567890,"x":1E+2,"":[ [ ] , { } ]}',
  '{"text":"}] , { [ \\" \\\\"}',
];
const ODD_ARRAY = ` \r\n[\t${ODD_EVENTS.join(' \n,  ')} ]\n `;
const ODD_LINES = ['', ...ODD_EVENTS.filter((event) => !event.includes('\n')), ' \t', '{"last":1}'];

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

const post = (batch: BatchRequest) => postBatch(app.urls, batch);

async function payloadsOf(accountId: string): Promise<{ id: string; payloadText: string; type: string | null }[]> {
  const query = `query ($id: ID!) { account(id: $id) { events(first: 100) { nodes { id payloadText type } } } }`;
  const { account } = await app.data(query, { id: accountId });
  return account.events.nodes.toReversed();
}

async function expectStored(accountId: string, { json }: RawAnswer, payloads: readonly string[]): Promise<void> {
  const stored = await payloadsOf(accountId);
  expect(stored.map(({ payloadText }) => payloadText)).toEqual(payloads);
  expect(json.events.map(({ eventId }: { eventId: string }) => eventId)).toEqual(stored.map(({ id }) => id));
}

describe('a batch is answered with its events in order, and each is stored as its bytes stood', () => {
  test('as a JSON array, and each is delivered', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/array'));
    await app.createDestination(id, receiver.url('/array'));
    const answer = await post({ token, body: ODD_ARRAY });
    expect(answer.status).toBe(202);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json).toEqual({
      success: true,
      message: 'Data Received',
      events: ODD_EVENTS.map(() => ({ eventId: expect.any(String), deliveries: 2 })),
    });
    await expectStored(id, answer, ODD_EVENTS);
    const bodies = (await receiver.arrived(8)).map(({ body }) => body.toString());
    expect(bodies.toSorted()).toEqual([...ODD_EVENTS, ...ODD_EVENTS].toSorted());
  });

  test.each([
    ['LF', '\n', '\n'],
    ['CRLF', '\r\n', '\r\n'],
    ['LF and no end of the last line', '\n', ''],
    ['CRLF and blank lines at the end', '\r\n', '\r\n\r\n \n'],
  ])('as lines with %s', async (_title, end, last) => {
    const { id, token } = await app.createAccount();
    const answer = await post({ token, type: NDJSON, body: ODD_LINES.join(end) + last });
    expect(answer.status).toBe(202);
    await expectStored(
      id,
      answer,
      ODD_LINES.filter((line) => line.trim() !== ''),
    );
  });

  test.each([
    ['application/json; charset=utf-8', ODD_ARRAY],
    ['application/x-ndjson; charset="UTF-8"', '{}\n{}'],
    ['APPLICATION/X-NDJSON', '{}'],
  ])('with the content type %s', async (type, body) => {
    const { token } = await app.createAccount();
    expect((await post({ token, type, body })).status).toBe(202);
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as [string, (body: string) => Buffer][])('in %s', async (encoding, pack) => {
    const { id, token } = await app.createAccount();
    const answer = await post({ token, body: pack(ODD_ARRAY), headers: ['Content-Encoding', encoding] });
    await expectStored(id, answer, ODD_EVENTS);
  });

  test('in chunks that are cut anywhere', async () => {
    const { id, token } = await app.createAccount();
    const answer = await sendInPieces(Buffer.from(ODD_ARRAY), [
      'Content-Type',
      'application/json',
      'CL-X-TOKEN',
      token,
    ]);
    await expectStored(id, answer, ODD_EVENTS);
  });

  test('at both paths, with one event to the most', async () => {
    const { token } = await app.createAccount();
    for (const url of [app.urls.ingest, app.urls.ingest.replace('/server', '')]) {
      const headers = ['Content-Type', 'application/json', 'CL-XTOKEN', token];
      expect((await exchange(`${url}/batch`, { headers, body: '[{}]' })).json.events).toHaveLength(1);
    }
    const { json } = await post({ token, body: numberedBatch(1_000) });
    const ids = json.events.map(({ eventId }: { eventId: string }) => eventId);
    expect(new Set(ids).size).toBe(1_000);
    expect(ids).toEqual(ids.toSorted());
  });

  test('to an account without destinations', async () => {
    const { token } = await app.createAccount();
    expect(deliveriesIn(await post({ token, body: '[{},{}]' }))).toEqual([0, 0]);
  });
});

function deliveriesIn({ json }: RawAnswer): number[] {
  return json.events.map(({ deliveries }: { deliveries: number }) => deliveries);
}

/** One byte a chunk. */
function sendInPieces(body: Buffer, headers: readonly string[]): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const all = ['Host', new URL(app.urls.ingest).host, ...headers, 'Transfer-Encoding', 'chunked'];
    const outgoing = request(`${app.urls.ingest}/batch`, { method: 'POST', agent: false, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: JSON.parse(text) });
      });
    });
    outgoing.once('error', reject);
    for (const byte of body) {
      outgoing.write(Buffer.from([byte]));
    }
    outgoing.end();
  });
}

describe('one bad entry refuses all', () => {
  test.each([
    ['[{}, 1]', 1],
    ['[[{}], {}]', 0],
    ['[{}, {}, "a"]', 2],
    ['[{}, null, 1]', 1],
    ['[{}, {"a": 01}, {}]', 1],
    ['[{}, {"a": "\\x"}]', 1],
    ['[{},]', 1],
  ])('%s', async (body, index) => {
    await expectRefused({ body }, { index });
  });

  test.each([
    ['{}\n\n\r\n[]\n{}', 1],
    ['{}\n{"a":\n1}', 1],
    ['{} {}\n', 0],
    ['[{}]', 0],
  ])('line by line: %j', async (body, index) => {
    await expectRefused({ body, type: NDJSON }, { index });
  });

  test('of bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('[{},{},{"a":"'), Buffer.from([0xc3]), Buffer.from('"}]')]);
    await expectRefused({ body }, { index: 2 });
  });

  test('in a compressed body', async () => {
    await expectRefused({ body: gzipSync('[{},2]'), headers: ['Content-Encoding', 'gzip'] }, { index: 1 });
  });
});

async function expectRefused(batch: Omit<BatchRequest, 'token'>, rest: object, status = 400): Promise<void> {
  const { id, token } = await app.createAccount();
  const answer = await post({ token, ...batch });
  expect({ status: answer.status, ...answer.json }).toEqual({
    status,
    success: false,
    message: 'Invalid Data',
    detail: expect.stringMatching(/^[A-Z].{10,}\.$/u),
    ...rest,
  });
  expect(await payloadsOf(id)).toEqual([]);
}

describe('a batch that is none is refused without an index', () => {
  test.each(['', ' ', '[]', ' [ ]\n', '{}', '{"a":[{}]}', '"[{}]"', '[{}', '[{}]]', '[{} {}]', '[{}] []', 'null'])(
    '%j',
    (body) => expectRefused({ body }, {}),
  );

  test.each(['', '\n', ' \r\n\t\n'])('line by line: %j', (body) => expectRefused({ body, type: NDJSON }, {}));

  test.each(['text/plain', 'application/ndjson', 'application/x-ndjson; charset=latin1', 'application/jsonl'])(
    'with the content type %s',
    (type) => expectRefused({ body: '[{}]', type }, {}),
  );

  test('with more than 1,000 events', async () => {
    await expectRefused({ body: numberedBatch(1_001) }, {}, 413);
    await expectRefused({ body: '{}\n'.repeat(1_001), type: NDJSON }, {}, 413);
  });

  test('without a valid token, and it learns nothing else', async () => {
    for (const body of ['[{}]', '[1]', '[']) {
      const answer = await post({ token: 'AAAAAAAAAAAAAAAA', body });
      expect([answer.status, answer.json]).toEqual([401, { success: false, message: 'Un Authenticate' }]);
    }
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('with %s', async (method) => {
    const answer = await exchange(`${app.urls.ingest}/batch`, { method });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
  });

  test('on the route of single events', async () => {
    const { id, token } = await app.createAccount();
    expect((await app.send(token, '[{}]')).status).toBe(400);
    expect((await app.send(token, '{}', { 'Content-Type': NDJSON })).status).toBe(400);
    expect(await payloadsOf(id)).toEqual([]);
  });
});

describe('what holds for each event', () => {
  test('is the type of the header for all, or the one in each payload', async () => {
    const { id, token } = await app.createAccount();
    const update = 'mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { id } }';
    await app.data(update, { id, input: { eventTypePath: 'kind' } });
    await app.createDestination(id, receiver.url('/typed'), { eventTypes: ['order.*'], filter: { total: { $gt: 1 } } });
    const body = '[{"kind":"order.paid","total":2},{"kind":"order.paid","total":1},{"kind":"login"},{}]';
    const own = await post({ token, body });
    const named = await post({ token, body, headers: ['X-Event-Type', 'order.all'] });
    expect([own, named].map(deliveriesIn)).toEqual([
      [1, 0, 0, 0],
      [1, 0, 0, 0],
    ]);
    expect((await payloadsOf(id)).map(({ type }) => type)).toEqual([
      'order.paid',
      'order.paid',
      'login',
      null,
      ...Array(4).fill('order.all'),
    ]);
    expect((await post({ token, body, headers: ['X-Event-Type', 'data-pusher.x'] })).status).toBe(400);
  });

  test('is the number of its hops', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/hops'));
    const before = receiver.received.length;
    await post({ token, body: '[{},{}]', headers: ['Data-Pusher-Hops', '3'] });
    const arrived = (await receiver.arrived(before + 2)).slice(before);
    expect(arrived.map(({ headers }) => headers['data-pusher-hops'])).toEqual(['4', '4']);
    expect((await post({ token, body: '[{}]', headers: ['Data-Pusher-Hops', '5'] })).status).toBe(508);
  });
});
