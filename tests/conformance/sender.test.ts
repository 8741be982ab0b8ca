import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OutgoingRequest } from '../../src/core/outgoing-request.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HttpSender } from '../../src/dispatch/http-sender.ts';
import type { Sender } from '../../src/dispatch/sender.ts';
import { SenderPool } from '../../src/dispatch/sender-pool.ts';
import { Facts } from '../../src/observe/facts.ts';
import { createLog } from '../../src/observe/log.ts';
import { Receiver } from '../support/receiver.ts';

const egress = { rule: undefined, proxyUrl: undefined };
const facts = new Facts(createLog({ level: 'silent', readable: false }));

describe.each<[where: string, create: (timeoutMs: number) => Sender]>([
  ['on the main thread', (timeoutMs) => new HttpSender({ clock: systemClock, timeoutMs, egress })],
  ['in threads', (timeoutMs) => new SenderPool({ threads: 2, clock: systemClock, timeoutMs, egress, facts })],
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

  function request(fields: Partial<OutgoingRequest> = {}): OutgoingRequest {
    return {
      url: receiver.url('/hook'),
      method: 'POST',
      headerLines: ['X-One', '1'],
      body: Buffer.from('{}'),
      ...fields,
    };
  }

  test('sends the bytes as they are, and answers with status and response', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (__, byte) => byte));
    const headerLines = ['X-Case', 'a', 'x-case', 'b', 'X-Bytes', '\u00e9\u00ff'];
    const before = Date.now();
    const outcome = await sender.send(request({ method: 'PUT', headerLines, body }));
    expect(outcome).toEqual({
      startedAt: expect.any(Number),
      durationMs: expect.any(Number),
      statusCode: 200,
      error: null,
      responseBody: Buffer.from('ok'),
      retryAfter: null,
    });
    expect(outcome?.startedAt).toBeGreaterThanOrEqual(before);
    expect(outcome?.startedAt).toBeLessThanOrEqual(Date.now());
    const [received] = receiver.received;
    expect(received?.method).toBe('PUT');
    expect(received?.body).toEqual(body);
    expect(received?.rawHeaders.slice(2, 8)).toEqual(headerLines);
  });

  test('sends no body where there is none, and an empty one where it is empty', async () => {
    await sender.send(request({ method: 'GET', body: undefined }));
    await sender.send(request({ method: 'POST', body: Buffer.alloc(0) }));
    expect(receiver.received.map(({ headers }) => headers['content-length'])).toEqual([undefined, '0']);
  });

  test('gives each of many requests its own outcome, and each event its own body', async () => {
    receiver.answerWith((response, { body }) => {
      response.statusCode = 400 + Number(body.toString());
      response.end(`to ${body.toString()}`);
    });
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (__, number) => sender.send(request({ body: Buffer.from(String(number)) }))),
    );
    expect(outcomes.map((outcome) => [outcome?.statusCode, outcome?.responseBody?.toString()])).toEqual(
      outcomes.map((__, number) => [400 + number, `to ${number}`]),
    );
  });

  test('keeps no more than the first 8 KiB of a response', async () => {
    receiver.answerWith((response) => response.end('x'.repeat(1_000_000)));
    const outcome = await sender.send(request());
    expect(outcome).toMatchObject({ statusCode: 200, error: null });
    expect(outcome?.responseBody).toEqual(Buffer.alloc(8 * 1024, 'x'));
  });

  test('tells a refusal, a refused connection and a time-out apart', async () => {
    receiver.answerWith((response) => response.writeHead(503, { 'Retry-After': '7' }).end());
    const refusal = { statusCode: 503, error: 'HTTP_STATUS', retryAfter: '7' };
    expect(await sender.send(request())).toMatchObject(refusal);

    receiver.answerWith(() => undefined);
    const impatient = create(50);
    expect(await impatient.send(request())).toMatchObject({ statusCode: null, error: 'TIMEOUT', responseBody: null });
    impatient.close();

    const gone = await Receiver.start();
    const url = gone.url();
    await gone.stop();
    expect(await sender.send(request({ url }))).toMatchObject({ statusCode: null, error: 'CONNECTION_REFUSED' });
  });

  test('breaks off at its close what was not answered', async () => {
    receiver.answerWith(() => undefined);
    const hanging = Array.from({ length: 20 }, () => sender.send(request()));
    await receiver.arrived(20);
    sender.close();
    expect(await Promise.all(hanging)).toEqual(hanging.map(() => undefined));
  });
});
