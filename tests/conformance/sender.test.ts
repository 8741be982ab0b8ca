import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HeaderEntry } from '../../src/core/inputs.ts';
import type { RequestSource } from '../../src/core/outgoing-request.ts';
import { SharedMemory } from '../../src/core/shared-memory.ts';
import { HttpSender, type Sender } from '../../src/dispatch/http-sender.ts';
import { SenderPool } from '../../src/dispatch/sender-pool.ts';
import { createLog, Telemetry } from '../../src/observe/telemetry.ts';
import { Receiver } from '../support/receiver.ts';
import { requestSource } from '../support/request-source.ts';

const SIXTEEN_MIB = 16 * 1_048_576;
const egress = { rule: undefined, proxyUrl: undefined };
const telemetry = new Telemetry(createLog({ level: 'silent', readable: false }));

describe.each<[where: string, create: (timeoutMs: number) => Sender]>([
  ['on the main thread', (timeoutMs) => new HttpSender({ userAgent: 'test', timeoutMs, egress })],
  ['in threads', (timeoutMs) => new SenderPool({ threads: 2, userAgent: 'test', timeoutMs, egress, telemetry })],
])('a sender %s', (_, create) => {
  let sender: Sender;
  let receiver: Receiver;

  beforeEach(async () => {
    sender = create(15_000);
    receiver = await Receiver.start();
  });
  afterEach(async () => {
    sender.close();
    await receiver.stop();
  });

  function request(fields: Partial<RequestSource> = {}): RequestSource {
    return requestSource({ url: receiver.url('/hook'), headers: [['X-One', '1']], ...fields });
  }

  test('sends the bytes as they are, and answers with status and response', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (__, byte) => byte));
    const headers: HeaderEntry[] = [
      ['X-Case', 'a'],
      ['x-case', ['b', 'é']],
    ];
    const outcome = await sender.send(request({ httpMethod: 'PUT', headers, payload: body }), 1_700_000_000_999);
    expect(outcome).toEqual({
      startedAt: 1_700_000_000_999,
      durationMs: expect.any(Number),
      statusCode: 200,
      error: null,
      message: null,
      responseBody: Buffer.from('ok'),
      retryAfter: null,
    });
    const [received] = receiver.received;
    expect(received?.method).toBe('PUT');
    expect(received?.body).toEqual(body);
    expect(received?.rawHeaders.slice(2, 8)).toEqual(['X-Case', 'a', 'x-case', 'b', 'x-case', 'Ã©']);
    expect(received?.headers).toMatchObject({
      'user-agent': 'test',
      'webhook-id': 'delivery',
      'webhook-timestamp': '1700000000',
      'data-pusher-hops': '1',
      'x-event-id': 'event',
      'x-delivery-attempt': '1',
    });
  });

  test('sends no body where there is none, and an empty one where it is empty', async () => {
    await sender.send(request({ httpMethod: 'GET' }), 0);
    await sender.send(request({ payload: Buffer.alloc(0) }), 0);
    expect(receiver.received.map(({ headers }) => headers['content-length'])).toEqual([undefined, '0']);
  });

  test('gives each of many requests its own outcome, and each event its own body', async () => {
    receiver.answerWith((response, { body }) => {
      response.statusCode = 400 + Number(body.toString());
      response.end(`to ${body.toString()}`);
    });
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (__, number) => sender.send(request({ payload: Buffer.from(String(number)) }), 0)),
    );
    expect(outcomes.map((outcome) => [outcome?.statusCode, outcome?.responseBody?.toString()])).toEqual(
      outcomes.map((__, number) => [400 + number, `to ${number}`]),
    );
  });

  test('sends the same large body to many, whether its memory is shared or not', async () => {
    const payload = Buffer.alloc(1_300_000, 'abcdefg');
    const shared = new SharedMemory(payload.length).allocate(payload.length) as Buffer;
    payload.copy(shared);
    const payloads = Array.from({ length: 20 }, (__, number) => (number % 2 === 0 ? payload : shared));
    await Promise.all(payloads.map((one) => sender.send(request({ payload: one }), 0)));
    expect(receiver.received.map(({ body }) => body.equals(payload))).toEqual(payloads.map(() => true));
  });

  test('reads no byte of a body after its answer: the memory may hold the payload of another account by then', async () => {
    const sockets: Socket[] = [];
    const early = createServer((socket) => {
      sockets.push(socket);
      socket
        .on('error', () => undefined)
        .once('data', () => {
          socket.pause();
          socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
        });
    });
    early.listen(0, '127.0.0.1');
    await once(early, 'listening');
    const { port } = early.address() as AddressInfo;
    const payload = new SharedMemory(SIXTEEN_MIB).allocate(SIXTEEN_MIB)?.fill('a') as Buffer;
    const outcome = await sender.send(request({ url: `http://127.0.0.1:${port}/`, payload }), 0);
    payload.fill('b');
    let seesOther = false;
    const [socket] = sockets;
    const closed = once(socket as Socket, 'close');
    socket?.on('data', (chunk: Buffer) => {
      seesOther ||= chunk.includes('b');
    });
    socket?.resume();
    await closed;
    expect([outcome?.statusCode, seesOther]).toEqual([413, false]);
    early.close();
  });

  test('knows each version of a destination, of more than it can keep', async () => {
    const sent = [1, 2, 2].flatMap((destinationVersion) =>
      Array.from({ length: 540 }, (__, number) => ({ destinationVersion, destinationId: `d-${number}` })),
    );
    const versions = new Map<string, string[]>();
    receiver.answerWith((response, { headers }) => {
      const [id = '', version = ''] = [headers['x-id'], headers['x-version']].map(String);
      versions.set(id, [...(versions.get(id) ?? []), version]);
      response.end();
    });
    for (let at = 0; at < sent.length; at += 270) {
      const some = sent.slice(at, at + 270).map(({ destinationId, destinationVersion }) => {
        const headers: HeaderEntry[] = [
          ['x-id', destinationId],
          ['x-version', `${destinationVersion}`],
          ['x-large', 'x'.repeat(8_000)],
        ];
        return sender.send(request({ destinationId, destinationVersion, headers }), 0);
      });
      await Promise.all(some);
    }
    expect(versions.size).toBe(540);
    expect(new Set([...versions.values()].map(String))).toEqual(new Set(['1,2,2']));
  });

  test.each<[what: string, fields: Record<string, unknown>, error: string]>([
    ['a GET whose payload fits into no URL', { payload: `{"a":"${'x'.repeat(70_000)}"}` }, 'URL_TOO_LONG'],
    ['one of many small values', { payload: `{${'"a":"%",'.repeat(20_000)}"a":1}` }, 'URL_TOO_LONG'],
    ['no URL', { url: 'nonsense' }, 'INVALID_REQUEST'],
    ['a header that cannot be sent', { headers: [['X-A', 'a\nb']] }, 'INVALID_REQUEST'],
  ])('has an outcome for what cannot be sent: %s', async (_what, { payload = '{}', ...fields }, error) => {
    const source = request({ httpMethod: 'GET', ...fields, payload: Buffer.from(String(payload)) });
    expect(await sender.send(source, 7)).toMatchObject({ startedAt: 7, statusCode: null, error, responseBody: null });
    expect(receiver.received).toEqual([]);
    expect(await sender.send(request(), 0)).toMatchObject({ statusCode: 200 });
  });

  test('keeps no more than the first 8 KiB of a response', async () => {
    receiver.answerWith((response) => response.end('x'.repeat(1_000_000)));
    const outcome = await sender.send(request(), 0);
    expect(outcome).toMatchObject({ statusCode: 200, error: null });
    expect(outcome?.responseBody).toEqual(Buffer.alloc(8 * 1024, 'x'));
  });

  test('tells a refusal, a refused connection and a time-out apart', async () => {
    receiver.answerWith((response) => response.writeHead(503, { 'Retry-After': '7' }).end());
    const refusal = { statusCode: 503, error: 'HTTP_STATUS', retryAfter: '7' };
    expect(await sender.send(request(), 0)).toMatchObject(refusal);

    receiver.answerWith(() => undefined);
    const impatient = create(50);
    expect(await impatient.send(request(), 0)).toMatchObject({
      statusCode: null,
      error: 'TIMEOUT',
      responseBody: null,
    });
    impatient.close();

    const gone = await Receiver.start();
    const url = gone.url();
    await gone.stop();
    expect(await sender.send(request({ url }), 0)).toMatchObject({ statusCode: null, error: 'CONNECTION_REFUSED' });
  });

  test('breaks off at its close what was not answered', async () => {
    receiver.answerWith(() => undefined);
    const hanging = Array.from({ length: 20 }, () => sender.send(request(), 0));
    await receiver.arrived(20);
    sender.close();
    expect(await Promise.all(hanging)).toEqual(hanging.map(() => undefined));
  });
});
