import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const DELIVERIES = `query ($id: ID!) { destination(id: $id) { deliveries(first: 100) {
  nodes { status attempts { error statusCode } }
} } }`;

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms' });
});
afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

function post(token: string, headers: readonly string[]): Promise<RawAnswer> {
  const all = ['Content-Type', 'application/json', 'CL-X-TOKEN', token, ...headers];
  return exchange(app.urls.ingest, { headers: all, body: '{"a":1}' });
}

test('an event whose destination leads back to the ingest comes back four times, and no more', async () => {
  const { id: accountId, token } = await app.createAccount();
  const id = await app.createDestination(accountId, app.urls.ingest, { headers: { 'CL-X-TOKEN': token } });
  await app.sendAccepted(token, '{"a":1}');
  const { nodes } = await app.eventually(
    async () => (await app.data(DELIVERIES, { id })).destination.deliveries,
    ({ nodes: all }) => all.some(({ status }: { status: string }) => status === 'FAILED'),
  );
  const taken = { status: 'SUCCEEDED', attempts: [{ error: null, statusCode: 202 }] };
  const refused = { error: 'HTTP_STATUS', statusCode: 508 };
  expect(nodes).toEqual([{ status: 'FAILED', attempts: [refused, refused] }, taken, taken, taken, taken]);
});

test('an event that was delivered before is delivered with one hop more, at every attempt', async () => {
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url());
  receiver.answerWith((response, _received, attempt) => response.writeHead(attempt === 1 ? 500 : 200).end());
  expect(await post(token, ['Data-Pusher-Hops', '4'])).toMatchObject({ status: 202 });
  const received = await receiver.arrived(2);
  expect(received.map(({ headers }) => headers['data-pusher-hops'])).toEqual(['5', '5']);
});

describe('the header Data-Pusher-Hops', () => {
  test.each(['5', '44', '9'.repeat(400)])('is a loop when it says %.20s', async (hops) => {
    const { token } = await app.createAccount();
    const answer = await post(token, ['data-pusher-hops', hops]);
    expect([answer.status, answer.json]).toEqual([508, { success: false, message: 'Loop Detected' }]);
  });

  test.each([[['-1']], [['']], [['1.0']], [['one']], [['0x1']], [['1', '1']]])('is invalid as %j', async (values) => {
    const { token } = await app.createAccount();
    const answer = await post(
      token,
      values.flatMap((value) => ['Data-Pusher-Hops', value]),
    );
    expect([answer.status, answer.json]).toMatchObject([400, { success: false, message: 'Invalid Data' }]);
  });

  test('is nothing that somebody without a token learns of', async () => {
    expect(await post('nobody', ['Data-Pusher-Hops', '5'])).toMatchObject({ status: 401 });
  });
});
