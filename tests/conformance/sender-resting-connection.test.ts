import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { AttemptOutcome } from '../../src/core/delivery.ts';
import { HttpSender } from '../../src/dispatch/http-sender.ts';
import { requestSource } from '../support/request-source.ts';
import { ScriptedServer } from '../support/scripted-server.ts';

type Act = (socket: Socket) => unknown;

const answer: Act = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const answerAndClose: Act = (socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok');
const close: Act = (socket) => socket.end();
const reset: Act = (socket) => socket.resetAndDestroy();
const beginAndClose: Act = (socket) => socket.end('HTTP/1.1 20');
const interimAndClose: Act = (socket) => socket.end('HTTP/1.1 100 Continue\r\n\r\n');
const keepSilent: Act = () => undefined;

let server: ScriptedServer;
let sender: HttpSender;
let requests: number;

afterEach(async () => {
  sender.close();
  await server.stop();
});

/** @param acts what becomes of each request, in their order; more are answered */
async function start(acts: readonly Act[], timeoutMs = 15_000): Promise<void> {
  requests = 0;
  server = await ScriptedServer.start((socket, number) => {
    requests = number;
    (acts[number - 1] ?? answer)(socket);
  });
  sender = new HttpSender({ userAgent: 'test', timeoutMs, egress: { rule: undefined, proxyUrl: undefined } });
}

function send(): Promise<AttemptOutcome | undefined> {
  return sender.send(requestSource({ url: server.url, payload: Buffer.from('{end}') }), 0);
}

describe('a request on a connection that has rested', () => {
  test.each([
    ['closed', close],
    ['reset', reset],
  ])('is sent once more, on a new connection, when it was %s without a byte', async (_how, act) => {
    await start([answer, act]);
    await send();
    expect(await send()).toMatchObject({ statusCode: 200, error: null, responseBody: Buffer.from('ok') });
    expect([requests, server.connections]).toEqual([3, 2]);
    expect(await send()).toMatchObject({ statusCode: 200 });
  });

  test('is sent once more, and not twice', async () => {
    await start([answer, close, close]);
    await send();
    expect(await send()).toMatchObject({ statusCode: null, error: 'CONNECTION_RESET' });
    expect(requests).toBe(3);
  });

  test.each([
    ['the beginning of an answer', beginAndClose],
    ['an interim answer', interimAndClose],
  ])('is not sent again when there was %s', async (_what, act) => {
    await start([answer, act]);
    await send();
    expect(await send()).toMatchObject({ statusCode: null });
    expect(requests).toBe(2);
  });

  test('is not sent again when nobody answered in time; both tries share that time', async () => {
    await start([answer, keepSilent], 300);
    await send();
    expect(await send()).toMatchObject({ statusCode: null, error: 'TIMEOUT' });
    expect(requests).toBe(2);

    await server.stop();
    sender.close();
    await start([answer, close, keepSilent], 300);
    await send();
    const outcome = await send();
    expect(outcome).toMatchObject({ statusCode: null, error: 'TIMEOUT' });
    expect(outcome?.durationMs).toBeGreaterThanOrEqual(299);
    expect(requests).toBe(3);
  });
});

test('a request on a new connection is not sent again', async () => {
  await start([close, answerAndClose]);
  expect(await send()).toMatchObject({ statusCode: null, error: 'CONNECTION_RESET' });
  expect(requests).toBe(1);
  expect(await send()).toMatchObject({ statusCode: 200 });
});
