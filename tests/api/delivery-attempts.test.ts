import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { selfSigned } from '../support/certificate.ts';
import { deliveriesOf, type DeliverySeen, finishedDelivery } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms', DELIVERY_TIMEOUT: '1s' });
});
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());
afterAll(() => app.stop());

async function deliverTo(url: string): Promise<DeliverySeen> {
  const { id, token } = await app.createAccount();
  await app.createDestination(id, url);
  return finishedDelivery(app, await app.sendAccepted(token, '{"n":1}'));
}

describe('what counts as delivered', () => {
  test.each([200, 201, 202, 204, 299])('%d does, and the first attempt is the last', async (status) => {
    receiver.answerWith((response) => response.writeHead(status).end());
    const delivery = await deliverTo(receiver.url());
    expect(delivery).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1, nextAttemptAt: null });
    expect(delivery.attempts).toMatchObject([{ number: 1, statusCode: status, error: null, message: null }]);
  });

  test.each([301, 302, 307, 400, 404, 429, 500, 503])('%d does not, and uses the attempts up', async (status) => {
    receiver.answerWith((response) => response.writeHead(status, { Location: receiver.url('/elsewhere') }).end('no'));
    const delivery = await deliverTo(receiver.url());
    expect(delivery).toMatchObject({ status: 'FAILED', attemptCount: 3, nextAttemptAt: null });
    expect(delivery.completedAt).not.toBeNull();
    expect(delivery.attempts).toMatchObject(
      [1, 2, 3].map((number) => ({
        number,
        statusCode: status,
        error: 'HTTP_STATUS',
        message: null,
        responseBody: 'no',
      })),
    );
    expect(receiver.received.map(({ target }) => target)).toEqual(['/', '/', '/']);
  });

  test('a destination that recovers gets the event, by the same webhook-id and with the same bytes', async () => {
    receiver.answerWith((response, _received, attempt) => response.writeHead(attempt < 3 ? 500 : 200).end());
    const delivery = await deliverTo(receiver.url());
    expect(delivery).toMatchObject({ status: 'SUCCEEDED', attemptCount: 3 });
    expect(receiver.received.map(({ headers, body }) => [headers['webhook-id'], body.toString()].join(' '))).toEqual(
      Array.from({ length: 3 }, () => `${delivery.id} {"n":1}`),
    );
  });
});

describe('why an attempt failed', () => {
  test('nobody listens: CONNECTION_REFUSED', async () => {
    const url = receiver.url();
    await receiver.stop();
    receiver = await Receiver.start();
    const { attempts } = await deliverTo(url);
    expect(attempts[0]).toMatchObject({ statusCode: null, error: 'CONNECTION_REFUSED', responseBody: null });
    expect(attempts[0]?.message).toBe('Nothing accepts connections at this address and port. (ECONNREFUSED)');
  });

  test('no answer in time: TIMEOUT', async () => {
    receiver.answerWith(() => undefined);
    const { attempts } = await deliverTo(receiver.url());
    expect(attempts[0]).toMatchObject({
      statusCode: null,
      error: 'TIMEOUT',
      message: 'There was no response in time.',
    });
    expect(attempts[0]?.durationMs).toBeGreaterThanOrEqual(990);
  });

  test('a name that does not exist: DNS', async () => {
    const { attempts } = await deliverTo('http://does-not-exist.invalid/');
    expect(attempts[0]).toMatchObject({ statusCode: null, error: 'DNS' });
    expect(attempts[0]?.message).toMatch(/^The .+\. \((ENOTFOUND|EAI_AGAIN)\)$/u);
  });

  test('plain HTTP where TLS is expected: TLS', async () => {
    const { attempts } = await deliverTo(receiver.url().replace('http:', 'https:'));
    expect(attempts[0]).toMatchObject({ statusCode: null, error: 'TLS' });
    expect(attempts[0]?.message).toMatch(/^The other side does not speak TLS.*\((EPROTO|ERR_SSL_\w+)\)$/u);
  });

  test('a certificate that nobody else has signed: TLS, and the reason', async () => {
    const server = createTlsServer(selfSigned('localhost'), (_request, response) => response.end()).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const { attempts } = await deliverTo(`https://127.0.0.1:${(server.address() as { port: number }).port}/`);
    expect(attempts[0]).toMatchObject({
      statusCode: null,
      error: 'TLS',
      message: 'The certificate is self-signed. (DEPTH_ZERO_SELF_SIGNED_CERT)',
    });
    server.close();
  });

  test.each([
    [
      'closes without an answer',
      '',
      'CONNECTION_RESET',
      /^The connection was closed before there was a response\. \(ECONNRESET\)$/,
    ],
    [
      'answers something else than HTTP',
      'SSH-2.0-x\r\n\r\n',
      'INVALID_RESPONSE',
      /^The response is not valid HTTP\. \(HPE_\w+\)$/,
    ],
  ])('a server that %s', async (_what, bytes, error, reason) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(bytes));
    })
      .listen(0, '127.0.0.1')
      .unref();
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { attempts } = await deliverTo(`http://127.0.0.1:${port}/`);
    expect(attempts[0]).toMatchObject({ statusCode: null, error, message: expect.stringMatching(reason) });
  });
});

describe('hostile responses', () => {
  test('the first 8 KiB are kept', async () => {
    receiver.answerWith((response) => response.end('x'.repeat(20_000)));
    const { attempts } = await deliverTo(receiver.url());
    expect(attempts[0]?.responseBody).toBe('x'.repeat(8192));
  });

  test('a response that never ends is a success by its status, and is cut off', async () => {
    let written = 0;
    const cutOff = new Promise<void>((resolve) => {
      receiver.answerWith((response) => {
        response.writeHead(200);
        const pour = (): void => {
          written += 65_536;
          if (!response.destroyed && response.write('x'.repeat(65_536))) {
            setImmediate(pour);
          }
        };
        response.on('drain', pour).on('close', resolve);
        pour();
      });
    });
    expect(await deliverTo(receiver.url())).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1 });
    await cutOff;
    expect(written).toBeLessThan(50_000_000);
  });

  test('a response that stops in the middle is a success by its status', async () => {
    receiver.answerWith((response) => void response.writeHead(200, { 'Content-Length': '100' }).write('half'));
    const delivery = await deliverTo(receiver.url());
    expect(delivery).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1 });
    expect(delivery.attempts[0]?.responseBody).toBe('half');
  });

  test('a compressed response is kept as it is and not inflated', async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000));
    receiver.answerWith((response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(bomb));
    const before = process.memoryUsage().rss;
    expect(await deliverTo(receiver.url())).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1 });
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
  });
});

describe('retryDelivery', () => {
  const RETRY = 'mutation ($id: ID!) { retryDelivery(id: $id) { id status attemptCount completedAt } }';

  test('sends a failed delivery again at once, with its history kept and the schedule before it', async () => {
    receiver.answerWith((response, _received, attempt) => response.writeHead(attempt < 5 ? 500 : 200).end());
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url());
    const eventId = await app.sendAccepted(token, '{}');
    const failed = await finishedDelivery(app, eventId);
    expect(failed).toMatchObject({ status: 'FAILED', attemptCount: 3 });
    const { retryDelivery } = await app.data(RETRY, { id: failed.id });
    expect(retryDelivery).toMatchObject({ status: 'PENDING', attemptCount: 3, completedAt: null });
    const retried = await finishedDelivery(app, eventId);
    expect(retried).toMatchObject({ id: failed.id, status: 'SUCCEEDED', attemptCount: 5 });
    expect(retried.attempts.map(({ number, statusCode }) => [number, statusCode])).toEqual([
      [1, 500],
      [2, 500],
      [3, 500],
      [4, 500],
      [5, 200],
    ]);
  });

  test('sends one that succeeded once more', async () => {
    const { id } = await deliverTo(receiver.url());
    await app.data(RETRY, { id });
    const received = await receiver.arrived(2);
    expect(received.map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
  });

  test('refuses one that is pending, and changes nothing', async () => {
    receiver.answerWith(() => undefined);
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url());
    const eventId = await app.sendAccepted(token, '{}');
    await receiver.arrived(1);
    const [delivery] = await deliveriesOf(app, eventId);
    const { errors } = await app.graphql(RETRY, { id: delivery?.id });
    expect(errors?.[0]?.extensions).toEqual({ code: 'CONFLICT' });
    const [after] = await deliveriesOf(app, eventId);
    expect(after?.attemptCount).toBe(1);
  });
});

test('a destination that fails is information in the log, not an error, and no secret is in it', async () => {
  receiver.answerWith((response) => response.writeHead(500).end());
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url('/?key=url-secret'), { headers: { Authorization: 'header-secret' } });
  await finishedDelivery(app, await app.sendAccepted(token, '{"p":"payload-secret"}'));
  const levels = app.logLines.map((line) => (JSON.parse(line) as { level: number }).level);
  expect(Math.max(...levels)).toBeLessThanOrEqual(30);
  const log = app.logLines.join('');
  for (const secret of [token, 'url-secret', 'header-secret', 'payload-secret']) {
    expect(log).not.toContain(secret);
  }
});
