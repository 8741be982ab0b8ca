import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Received, Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let receiver: Receiver;
let hanging: Receiver;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms', DELIVERY_TIMEOUT: '1s' });
});
beforeEach(async () => {
  receiver = await Receiver.start();
  hanging = await Receiver.start(() => undefined);
});
afterEach(async () => {
  await receiver.stop();
  await hanging.stop();
});
afterAll(() => app.stop());

async function deliver(
  body: string,
  fields: { httpMethod?: string; headers?: Record<string, unknown> },
  path = '/hook',
): Promise<Received> {
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url(path), fields);
  await app.sendAccepted(token, body);
  const [received] = await receiver.arrived(1);
  return received as Received;
}

/** Name and value of every header line, as they came over the wire. */
function lines({ rawHeaders }: Received): string[] {
  return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
}

describe('the request that a destination gets', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s carries the received bytes as JSON', async (httpMethod) => {
    const body = '{ "b": 1.0, "a": 12345678901234567890, "a": "\\ud83d\\ude00é" }';
    const received = await deliver(body, { httpMethod });
    expect(received.method).toBe(httpMethod);
    expect(received.target).toBe('/hook');
    expect(received.body.toString()).toBe(body);
    expect(received.headers['content-type']).toBe('application/json');
    expect(received.headers['content-length']).toBe(String(Buffer.byteLength(body)));
  });

  test('GET carries the payload as query parameters and no body', async () => {
    const received = await deliver(
      '{"a":1.0,"s":"x y","o":{"k": [1]},"n":null}',
      { httpMethod: 'GET' },
      '/hook?own=1#part',
    );
    expect(received.method).toBe('GET');
    expect(received.target).toBe('/hook?own=1&a=1.0&s=x%20y&o=%7B%22k%22%3A%20%5B1%5D%7D&n=null');
    expect(received.body).toHaveLength(0);
    expect(received.headers['content-type']).toBeUndefined();
  });

  test('has the headers of the destination, letter case, order and repeated values kept', async () => {
    const headers = { 'X-b-Custom': 'one', AUTHORIZATION: 'Bearer x', 'x-many': ['1', '2'], 'X-Utf8': 'naïve ✓' };
    const received = await deliver('{}', { headers });
    const utf8 = Buffer.from('naïve ✓').toString('latin1');
    expect(lines(received).filter((line) => /custom|author|many|utf8/i.test(line))).toEqual([
      'X-b-Custom: one',
      'AUTHORIZATION: Bearer x',
      'x-many: 1',
      'x-many: 2',
      `X-Utf8: ${utf8}`,
    ]);
  });

  test('has ours besides, and nothing of the request that brought the event', async () => {
    const received = await deliver('{}', {});
    expect(received.headers['user-agent']).toMatch(/^Data-Pusher\/\d+\.\d+\.\d+$/);
    expect(received.headers['webhook-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(received.headers['webhook-timestamp'])).toBeCloseTo(Date.now() / 1000, -2);
    expect(Object.keys(received.headers).toSorted()).toEqual(
      [
        'connection',
        'content-length',
        'content-type',
        'data-pusher-hops',
        'host',
        'user-agent',
        'webhook-id',
        'webhook-signature',
        'webhook-timestamp',
        'x-delivery-attempt',
        'x-event-id',
        'x-test',
      ].toSorted(),
    );
  });

  test("lets the destination's own content type and user agent win", async () => {
    const received = await deliver('{}', { headers: { 'content-type': 'text/x-mine', 'User-Agent': 'mine' } });
    expect(lines(received).filter((line) => /content-type|user-agent/i.test(line))).toEqual([
      'content-type: text/x-mine',
      'User-Agent: mine',
    ]);
  });
});

describe('fan-out', () => {
  test('every destination gets the event, each by its own URL, method and headers', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/a'), { httpMethod: 'POST', headers: { 'X-Who': 'a' } });
    await app.createDestination(id, receiver.url('/b'), { httpMethod: 'GET', headers: { 'X-Who': 'b' } });
    await app.createDestination(id, receiver.url('/c'), { httpMethod: 'PUT', headers: { 'X-Who': 'c' } });
    await app.sendAccepted(token, '{"k":"v"}');
    const received = await receiver.arrived(3);
    const seen = received.map(({ method, target, headers }) => [method, target, headers['x-who']].join(' '));
    expect(seen.toSorted()).toEqual(['GET /b?k=v b', 'POST /a a', 'PUT /c c']);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
  });

  test('a destination that hangs does not delay the others', async () => {
    // A machine that is busy must not take so long that the first requests are over.
    const patient = await TestApp.start({ DELIVERY_TIMEOUT: '1m', SHUTDOWN_TIMEOUT: '0s' });
    const { id, token } = await patient.createAccount();
    await patient.createDestination(id, hanging.url());
    await patient.createDestination(id, receiver.url());
    for (let count = 0; count < 100; count += 1) {
      await patient.sendAccepted(token, '{}');
    }
    await receiver.arrived(100);
    expect(hanging.received.length).toBeLessThanOrEqual(32);
    await patient.stop();
  });

  test('an edit of the destination is effective for the next event', async () => {
    const { id, token } = await app.createAccount();
    const destination = await app.createDestination(id, receiver.url('/old'));
    await app.sendAccepted(token, '{}');
    await receiver.arrived(1);
    await app.data('mutation ($id: ID!, $url: String!) { updateDestination(id: $id, input: { url: $url }) { id } }', {
      id: destination,
      url: receiver.url('/new'),
    });
    await app.sendAccepted(token, '{}');
    const received = await receiver.arrived(2);
    expect(received.map(({ target }) => target)).toEqual(['/old', '/new']);
  });
});
