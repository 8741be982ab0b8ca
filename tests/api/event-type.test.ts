import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms' });
});
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());
afterAll(() => app.stop());

/** @param headers names and values in turn, as they are sent */
function post(token: string, headers: readonly string[], body: string | Buffer = '{"a":1}'): Promise<RawAnswer> {
  return exchange(app.urls.ingest, {
    headers: ['Content-Type', 'application/json', 'CL-X-TOKEN', token, ...headers],
    body,
  });
}

async function accountWithDestination(): Promise<{ id: string; token: string }> {
  const account = await app.createAccount();
  await app.createDestination(account.id, receiver.url());
  return account;
}

async function accountWithPath(path: string): Promise<string> {
  const { id, token } = await accountWithDestination();
  const intruder = await app.intrude();
  await intruder.execute(
    `update account set event_type_path = '${path}', routing_version = routing_version + 1 where id = '${id}'`,
  );
  await intruder.close();
  return token;
}

describe('a type that the sender names', () => {
  test.each([
    ['X-Event-Type', 'order.paid'],
    ['x-event-type', 'A_b-9.'],
    ['ce-type', 'com.example.object.deleted.v2'],
    ['X-Event-Type', 'x'.repeat(128)],
  ])('in %s is delivered with the event: %s', async (name, type) => {
    const { token } = await accountWithDestination();
    const { status, json } = await post(token, [name, type]);
    expect({ status, json }).toMatchObject({ status: 202, json: { deliveries: 1 } });
    const [received] = await receiver.arrived(1);
    expect(received?.headers).toMatchObject({
      'x-event-type': type,
      'x-event-id': (json as { eventId: string }).eventId,
      'x-delivery-attempt': '1',
    });
  });

  test('may stand in both headers, if it is the same', async () => {
    const { token } = await accountWithDestination();
    expect(await post(token, ['X-Event-Type', 'a.b', 'ce-type', 'a.b'])).toMatchObject({ status: 202 });
    expect((await receiver.arrived(1))[0]?.headers['x-event-type']).toBe('a.b');
  });

  test.each([
    ['is empty', ['X-Event-Type', ''], /1 to 128 characters/],
    ['is empty in the other header', ['ce-type', ''], /1 to 128 characters/],
    ['is too long', ['X-Event-Type', 'x'.repeat(129)], /1 to 128 characters/],
    ['has a space', ['X-Event-Type', 'order paid'], /1 to 128 characters/],
    ['has a slash', ['ce-type', 'order/paid'], /1 to 128 characters/],
    ['is a pattern', ['X-Event-Type', 'order.*'], /1 to 128 characters/],
    ['is reserved', ['X-Event-Type', 'data-pusher.test'], /reserved/],
    ['is reserved in the other header', ['ce-type', 'data-pusher.'], /reserved/],
    ['is sent twice', ['X-Event-Type', 'a', 'X-Event-Type', 'a'], /sent once/],
    ['is sent twice in the other header', ['ce-type', 'a', 'ce-type', 'b'], /sent once/],
    ['differs between the headers', ['X-Event-Type', 'a', 'ce-type', 'b'], /different/],
  ])('is refused if it %s', async (_, headers, reason) => {
    const { token } = await accountWithDestination();
    const { status, json } = await post(token, headers);
    expect({ status, json }).toEqual({
      status: 400,
      json: { success: false, message: 'Invalid Data', detail: expect.stringMatching(reason) },
    });
    expect((await post('nobody', headers)).status).toBe(401);
  });

  test('makes an event with the same key and body another event', async () => {
    const { token } = await accountWithDestination();
    const send = (...headers: string[]) => post(token, ['Idempotency-Key', 'k', ...headers]);
    expect((await send('X-Event-Type', 'a')).status).toBe(202);
    expect(await send('ce-type', 'a')).toMatchObject({ status: 202, json: { duplicate: true } });
    for (const headers of [['X-Event-Type', 'b'], []]) {
      const { status, json } = await send(...headers);
      expect({ status, json }).toMatchObject({
        status: 409,
        json: { message: 'Conflict', detail: expect.stringMatching(/type was different/) },
      });
    }
  });
});

describe('a type in the payload', () => {
  test.each([
    ['data.kind', '{"data":{"kind":"order.paid"}}', 'order.paid'],
    ['data.kind', '{"data":{"kind":"data-pusher.test"}}', undefined],
    ['data.kind', '{"data":{"kind":7}}', undefined],
    ['data.kind', '{"data":{"kind":"a b"}}', undefined],
    ['data.kind', '{"data":[]}', undefined],
    ['type', `{"padding":"${'x'.repeat(900_000)}","type":"far.behind"}`, 'far.behind'],
  ])('at %s counts if senders may use it', async (path, body, type) => {
    const token = await accountWithPath(path);
    expect((await post(token, [], body)).status).toBe(202);
    expect((await receiver.arrived(1))[0]?.headers['x-event-type']).toBe(type);
  });

  test('counts less than that of a header', async () => {
    const token = await accountWithPath('type');
    await post(token, ['X-Event-Type', 'named'], '{"type":"found"}');
    expect((await receiver.arrived(1))[0]?.headers['x-event-type']).toBe('named');
  });
});

test('each attempt has its number, and all have the id of the event', async () => {
  const { token } = await accountWithDestination();
  receiver.answerWith((response, _, attempt) => {
    response.statusCode = attempt < 3 ? 500 : 200;
    response.end();
  });
  const { json } = await post(token, []);
  const received = await receiver.arrived(3);
  expect(received.map(({ headers }) => [headers['x-delivery-attempt'], headers['x-event-id']])).toEqual(
    ['1', '2', '3'].map((attempt) => [attempt, (json as { eventId: string }).eventId]),
  );
  expect(received.some(({ headers }) => 'x-event-type' in headers)).toBe(false);
});
