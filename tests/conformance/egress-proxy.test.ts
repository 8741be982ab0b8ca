import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AddressRuleOptions } from '../../src/core/address-rule.ts';
import type { AttemptOutcome } from '../../src/core/delivery.ts';
import { HttpSender } from '../../src/dispatch/http-sender.ts';
import { ConnectProxy } from '../support/connect-proxy.ts';
import { Receiver } from '../support/receiver.ts';
import { requestSource } from '../support/request-source.ts';

let proxy: ConnectProxy;
let receiver: Receiver;
let sender: HttpSender;

beforeEach(async () => {
  proxy = await ConnectProxy.start();
  receiver = await Receiver.start();
  sender = senderBy(`http://127.0.0.1:${proxy.port}`);
});
afterEach(async () => {
  sender.close();
  await Promise.all([proxy.stop(), receiver.stop()]);
});

function senderBy(proxyUrl: string, rule?: AddressRuleOptions, timeoutMs = 15_000): HttpSender {
  return new HttpSender({ userAgent: 'test', timeoutMs, egress: { rule, proxyUrl } });
}

function post(url: string): Promise<AttemptOutcome | undefined> {
  return sender.send(requestSource({ url, headers: [['X-Test', '1']], payload: Buffer.from('{"a":1}') }), 0);
}

function useSender(other: HttpSender): void {
  sender.close();
  sender = other;
}

test('a request goes through a tunnel of the proxy, which resolves the name, as it would go without', async () => {
  const url = `http://only.known.to.the.proxy.example:${receiver.port}/hook?a=b`;
  expect(await post(url)).toMatchObject({ statusCode: 200, error: null, responseBody: Buffer.from('ok') });
  const target = `only.known.to.the.proxy.example:${receiver.port}`;
  expect(proxy.asked).toEqual([{ method: 'CONNECT', target, authorization: undefined }]);
  const [received] = receiver.received;
  expect(received).toMatchObject({ method: 'POST', target: '/hook?a=b', body: Buffer.from('{"a":1}') });
  expect(received?.rawHeaders.slice(0, 4)).toEqual(['Host', target, 'X-Test', '1']);
});

test('a tunnel is kept open for the same host, and used for no other', async () => {
  for (const host of ['a.example', 'a.example', 'b.example', 'a.example']) {
    expect(await post(`http://${host}:${receiver.port}/`)).toMatchObject({ statusCode: 200 });
  }
  expect(proxy.asked.map(({ target }) => target.split(':')[0])).toEqual(['a.example', 'b.example']);
});

test('the proxy is told the password of its URL, decoded', async () => {
  useSender(senderBy(`http://us%40er:p%3Ass@127.0.0.1:${proxy.port}`));
  await post(`http://a.example:${receiver.port}/`);
  expect(proxy.asked[0]?.authorization).toBe(`Basic ${Buffer.from('us@er:p:ss').toString('base64')}`);
});

test('an address in the URL is judged before the proxy is asked; a name is left to the proxy', async () => {
  useSender(senderBy(`http://127.0.0.1:${proxy.port}`, { allowed: [], own: [] }));
  for (const host of ['127.0.0.1', '2130706433', '[::ffff:7f00:1]', '169.254.169.254']) {
    expect(await post(`http://${host}:${receiver.port}/`)).toMatchObject({ error: 'ADDRESS_REFUSED' });
  }
  expect(proxy.asked).toEqual([]);
  expect(await post(`http://a.example:${receiver.port}/`)).toMatchObject({ statusCode: 200 });
});

describe('a proxy that opens no tunnel is no answer of the destination', () => {
  test.each([
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret',
    'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    'SSH-2.0\r\n\r\n',
    '',
  ])('%j', async (answer) => {
    proxy.refuseWith(answer);
    const outcome = await post(`http://a.example:${receiver.port}/`);
    expect(outcome).toMatchObject({ statusCode: null, error: 'UNREACHABLE', responseBody: null });
    expect(receiver.received).toEqual([]);
  });

  test('nor is one that is away', async () => {
    await proxy.stop();
    const outcome = await post(`http://a.example:${receiver.port}/`);
    expect(outcome).toMatchObject({ statusCode: null, error: 'UNREACHABLE' });
    proxy = await ConnectProxy.start();
  });
});

test('a proxy that is silent uses up the time of the attempt and no more', async () => {
  const silent = createServer((socket) => void socket.resume().on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  useSender(senderBy(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, undefined, 200));
  const outcome = await post(`http://a.example:${receiver.port}/`);
  expect(outcome).toMatchObject({ statusCode: null, error: expect.stringMatching(/^(?:TIMEOUT|UNREACHABLE)$/u) });
  expect(outcome?.durationMs).toBeLessThan(2_000);
  sender.close();
  await new Promise((resolve) => silent.close(resolve));
});
