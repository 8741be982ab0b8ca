import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HTTP_METHODS } from '../../src/core/inputs.ts';
import { deliveriesOf, finishedDelivery } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';
import { signedContent, verifies } from '../support/verification.ts';

const MIB = 1_048_576;
/** Requests to one destination at the same time. */
const CONCURRENCY = 32;
const ENDLESS = '( $f := function() { $f() }; $f() )';
/** Nothing but the end of its process ends this one. */
const BACKTRACKING = '$match(text, /^(a+)+$/)';
const TIME = 'The expression took more than 50 ms of processor time.';

let app: TestApp;
let receiver: Receiver;
let account: { id: string; token: string };

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms' });
  receiver = await Receiver.start();
});
beforeEach(async () => {
  receiver.received.length = 0;
  receiver.answerWith((response) => response.end('ok'));
  account = await app.createAccount();
});
afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

function destination(transform: string | null, fields: Record<string, unknown> = {}): Promise<string> {
  return app.createDestination(account.id, receiver.url(), { transform, ...fields });
}

/** @returns the one delivery of an event with this payload, when it is finished */
async function deliver(payload: string) {
  return finishedDelivery(app, await app.sendAccepted(account.token, payload));
}

async function update(id: string, transform: string | null): Promise<void> {
  const mutation =
    'mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { id } }';
  await app.data(mutation, { id, input: { transform } });
}

describe('a destination with an expression', () => {
  test('gets what it makes of the payload, and others get the payload byte for byte', async () => {
    await destination('{"total": $sum(items.price), "who": customer.name}');
    await app.createDestination(account.id, receiver.url('/plain'), { transform: null });
    const payload = '{ "items": [{"price": 1.50}, {"price": 2.0}],\n "customer": {"name": "Zoë"}, "n": 1.0 }';
    await app.sendAccepted(account.token, payload);
    const received = await receiver.arrived(2);
    const bodies = new Map(received.map(({ target, body, headers }) => [target, [body, headers['content-length']]]));
    const transformed = Buffer.from('{"total":3.5,"who":"Zoë"}');
    expect(bodies.get('/')).toEqual([transformed, `${transformed.length}`]);
    expect(bodies.get('/plain')?.[0]).toEqual(Buffer.from(payload));
  });

  test.each(HTTP_METHODS)('is sent a %s that is signed over the result', async (httpMethod) => {
    const id = await destination('{"a": n + 1, "b": {"c": [true]}}', { httpMethod });
    await app.sendAccepted(account.token, '{"n":1}');
    const [received] = await receiver.arrived(1);
    const { destination: found } = await app.data(`{ destination(id: "${id}") { signingSecret } }`);
    const expected = httpMethod === 'GET' ? 'a=2&b=%7B%22c%22%3A%5Btrue%5D%7D' : '{"a":2,"b":{"c":[true]}}';
    expect(received && signedContent(received).toString()).toBe(expected);
    expect(received && verifies(received, found.signingSecret)).toBe(true);
  });

  test('gets numbers as JavaScript has them', async () => {
    await destination('$');
    await app.sendAccepted(account.token, '{"a":1.0,"b":9007199254740993,"c":1e2}');
    expect((await receiver.arrived(1))[0]?.body.toString()).toBe('{"a":1,"b":9007199254740992,"c":100}');
  });

  test('gets a payload and a result of 1 MiB', async () => {
    await destination('$');
    const payload = `{"a":"${'x'.repeat(MIB - 8)}"}`;
    expect(payload).toHaveLength(MIB);
    expect(await deliver(payload)).toMatchObject({ status: 'SUCCEEDED' });
    expect(receiver.received[0]?.body.equals(Buffer.from(payload))).toBe(true);
  });

  test('gets the new result once the update has answered, and the payload again after null', async () => {
    const id = await destination('{"v": 1}');
    await deliver('{}');
    await update(id, '{"v": 2}');
    await deliver('{}');
    await update(id, null);
    await deliver('{"plain": 1.0}');
    expect(receiver.received.map(({ body }) => body.toString())).toEqual(['{"v":1}', '{"v":2}', '{"plain": 1.0}']);
  });

  test('gets nothing of the old result once the update has answered, whatever was claimed before', async () => {
    const held: (() => void)[] = [];
    // A destination that answers gets claims ahead, which wait once it hangs.
    receiver.answerWith((response, _received, attempt) => {
      if (attempt <= CONCURRENCY) {
        response.end();
      } else {
        held.push(() => response.end());
      }
    });
    const id = await destination('{"v": 1}');
    const events = await Promise.all(Array.from({ length: 150 }, () => app.sendAccepted(account.token, '{}')));
    await receiver.arrived(2 * CONCURRENCY);
    await update(id, '{"v": 2}');
    expect(receiver.received).toHaveLength(2 * CONCURRENCY);
    receiver.answerWith((response) => response.end());
    held.forEach((answer) => answer());
    await receiver.arrived(events.length);
    expect(receiver.received.map(({ body }) => body.toString())).toEqual(
      Array.from({ length: events.length }, (_, index) => `{"v":${index < 2 * CONCURRENCY ? 1 : 2}}`),
    );
  });

  test('is retried with the same result while it fails to take it', async () => {
    receiver.answerWith((response, _received, attempt) => response.writeHead(attempt < 3 ? 500 : 200).end());
    await destination('{"v": n}');
    expect(await deliver('{"n":1}')).toMatchObject({ status: 'SUCCEEDED', attemptCount: 3 });
    expect(receiver.received.map(({ body }) => body.toString())).toEqual(Array.from({ length: 3 }, () => '{"v":1}'));
  });
});

function long(length: number): string {
  return `{"a":"${'x'.repeat(length)}"}`;
}

describe('a transformation that fails ends the delivery at once', () => {
  test.each([
    ['a', /^The result must be a JSON object, and it is an array\.$/],
    ['$string(b)', /^The result must be a JSON object, and it is a string\.$/],
    ['missing', /^The result must be a JSON object, and it is nothing\.$/],
    ['null', /^The result must be a JSON object, and it is null\.$/],
    ['$sum', /^The result must be a JSON object, and it is a function\.$/],
    ['$error("no such order")', /^no such order \(D3137, at position \d+\)$/],
    ['b + "x"', /^The right side of the "\+" operator must evaluate to a number \(T2002, at position 3\)$/],
    [ENDLESS, new RegExp(`^${TIME}$`, 'u')],
    [BACKTRACKING, new RegExp(`^${TIME}$`, 'u')],
    ['( $f := function($n) { 1 + $f($n) }; {"a": $f(1)} )', /Stack overflow|processor time/u],
  ])('%s', async (expression, message) => {
    await destination(expression);
    const delivery = await deliver(`{"a":[1,2],"b":1,"text":"${'a'.repeat(40)}!"}`);
    expect(delivery).toMatchObject({ status: 'FAILED', attemptCount: 1, nextAttemptAt: null });
    const attempt = { number: 1, statusCode: null, error: 'TRANSFORM_FAILED', responseBody: null, durationMs: 0 };
    expect(delivery.attempts).toEqual([{ ...attempt, message: expect.stringMatching(message) }]);
    expect(receiver.received).toEqual([]);
  });

  test('a result of 1 MiB is sent, and one of a byte more is not', async () => {
    await destination('{"a": a & "xx"}');
    expect(await deliver(long(MIB - 10))).toMatchObject({ status: 'SUCCEEDED' });
    const [attempt] = (await deliver(long(MIB - 9))).attempts;
    expect(attempt).toMatchObject({ error: 'TRANSFORM_FAILED', message: 'The result has more than 1048576 bytes.' });
    expect(receiver.received[0]?.body).toHaveLength(MIB);
  });

  test('a message has at most 500 characters, none of them a control character', async () => {
    await destination('$error($join([1..200].("é😀\\u0000\\n")))');
    const { message } = (await deliver('{}')).attempts[0] ?? {};
    expect(message?.length).toBeLessThanOrEqual(500);
    expect(message).toMatch(/^é😀 {2}é[^\p{Cc}]+$/u);
  });

  test('a retry uses the expression as it is then', async () => {
    const id = await destination('{"total": $sum(prices)}');
    const { id: deliveryId, ...failed } = await deliver('{"prices":["1","2"]}');
    expect(failed).toMatchObject({ status: 'FAILED', attemptCount: 1, attempts: [{ error: 'TRANSFORM_FAILED' }] });
    await update(id, '{"total": $sum(prices.$number())}');
    const retry = 'mutation ($id: ID!) { retryDelivery(id: $id) { event { id } } }';
    const { retryDelivery } = await app.data(retry, { id: deliveryId });
    const again = await finishedDelivery(app, retryDelivery.event.id);
    expect(again).toMatchObject({ status: 'SUCCEEDED', attemptCount: 2 });
    expect(again.attempts).toMatchObject([
      { error: 'TRANSFORM_FAILED' },
      { error: null, message: null, statusCode: 200 },
    ]);
    expect(receiver.received.map(({ body }) => body.toString())).toEqual(['{"total":3}']);
  });
});

test('endless expressions of one account delay nobody else', async () => {
  const endless = await Promise.all(Array.from({ length: 3 }, () => destination(BACKTRACKING)));
  const text = JSON.stringify({ text: `${'a'.repeat(40)}!` });
  const events = await Promise.all(Array.from({ length: 5 }, () => app.sendAccepted(account.token, text)));
  const other = await app.createAccount();
  await app.createDestination(other.id, receiver.url('/plain'));
  await app.createDestination(other.id, receiver.url('/transformed'), { transform: '{"n": n}' });
  for (let n = 1; n <= 10; n += 1) {
    await app.sendAccepted(other.token, `{"n":${n}}`);
    await receiver.arrived(2 * n);
  }
  const statusOf = async (eventId: string) => (await deliveriesOf(app, eventId)).map(({ status }) => status);
  // Each of the fifteen costs 50 ms and a process, and most are still to come.
  expect((await Promise.all(events.map(statusOf))).flat()).toContain('PENDING');
  for (const eventId of events) {
    const failed = await app.eventually(
      () => deliveriesOf(app, eventId),
      (all) => all.every(({ status }) => status !== 'PENDING'),
    );
    expect(failed).toHaveLength(endless.length);
    for (const { status, attempts } of failed) {
      expect([status, attempts.map(({ message }) => message)]).toEqual(['FAILED', [TIME]]);
    }
  }
});
