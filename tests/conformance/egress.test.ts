import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AddressRuleOptions } from '../../src/core/address-rule.ts';
import type { AttemptOutcome } from '../../src/core/delivery.ts';
import { HttpSender, type Sender } from '../../src/dispatch/http-sender.ts';
import { SenderPool } from '../../src/dispatch/sender-pool.ts';
import { createLog, Telemetry } from '../../src/observe/telemetry.ts';
import { ConnectionCounter } from '../support/connection-counter.ts';
import { requestSource } from '../support/request-source.ts';

const telemetry = new Telemetry(createLog({ level: 'silent', readable: false }));
const options = { userAgent: 'test', timeoutMs: 15_000, telemetry };

/** All of them lead to 127.0.0.1. */
const SPELLINGS = [
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f.1',
  '0x7f000001',
  '0177.0.0.1',
  '127.0.0.1.',
  '１２７.０.０.１',
  '127。0。0。1',
  '%31%32%37.0.0.1',
  '[::ffff:7f00:1]',
  '[::ffff:127.0.0.1]',
  'localhost',
  'LOCALHOST',
  '0.0.0.0',
];

describe.each<[where: string, create: (rule: AddressRuleOptions | undefined) => Sender]>([
  ['on the main thread', (rule) => new HttpSender({ ...options, egress: { rule, proxyUrl: undefined } })],
  ['in threads', (rule) => new SenderPool({ ...options, threads: 2, egress: { rule, proxyUrl: undefined } })],
])('a sender %s', (_where, create) => {
  let receiver: ConnectionCounter;
  let senders: Sender[];

  beforeEach(async () => {
    senders = [];
    receiver = await ConnectionCounter.start('127.0.0.1');
  });
  afterEach(async () => {
    for (const sender of senders) {
      sender.close();
    }
    await receiver.stop();
  });

  function senderWith(allowed?: readonly string[]): Sender {
    const sender = create(allowed && { allowed, own: [] });
    senders.push(sender);
    return sender;
  }

  function post(sender: Sender, host: string): Promise<AttemptOutcome | undefined> {
    const url = `http://${host}:${receiver.port}/`;
    return sender.send(requestSource({ url }), 0);
  }

  async function errors(sender: Sender, hosts: readonly string[]): Promise<unknown[]> {
    const outcomes = await Promise.all(hosts.map((host) => post(sender, host)));
    return outcomes.map((outcome, at) => [hosts[at], outcome?.error, outcome?.statusCode]);
  }

  test('reaches loopback by every spelling when there is no rule', async () => {
    expect(await errors(senderWith(), SPELLINGS)).toEqual(SPELLINGS.map((host) => [host, null, 200]));
  });

  test('opens no connection to loopback by any spelling when there is one', async () => {
    const refused = SPELLINGS.map((host) => [host, 'ADDRESS_REFUSED', null]);
    expect(await errors(senderWith([]), SPELLINGS)).toEqual(refused);
    expect(receiver.connections).toBe(0);
  });

  test('reaches what is allowed all the same, by address and by name, and nothing else', async () => {
    const byNetwork = senderWith(['127.0.0.0/8']);
    expect(await errors(byNetwork, ['127.1', 'localhost'])).toEqual([
      ['127.1', null, 200],
      ['localhost', null, 200],
    ]);
    const byName = senderWith(['localhost']);
    expect(await errors(byName, ['LocalHost', '127.0.0.1'])).toEqual([
      ['LocalHost', null, 200],
      ['127.0.0.1', 'ADDRESS_REFUSED', null],
    ]);
  });

  test('keeps connections open for the same host, and for no other that leads to the same address', async () => {
    const sender = senderWith(['127.0.0.0/8']);
    for (const host of ['127.0.0.1', '127.0.0.1', 'localhost', 'localhost', '127.0.0.1']) {
      expect(await post(sender, host)).toMatchObject({ statusCode: 200 });
    }
    expect([receiver.connections, receiver.requests]).toEqual([2, 5]);
  });

  test('a connection that was opened by name does not serve a request to the address', async () => {
    const sender = senderWith(['localhost']);
    expect(await post(sender, 'localhost')).toMatchObject({ statusCode: 200 });
    expect(await post(sender, '127.0.0.1')).toMatchObject({ error: 'ADDRESS_REFUSED' });
    expect(receiver.requests).toBe(1);
  });

  test.each([[undefined], [[]]])('never speaks to a Unix socket, with the rule %j', async (allowed) => {
    const folder = mkdtempSync(join(tmpdir(), 'data-pusher-egress-'));
    const path = join(folder, 'socket');
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(path);
    await once(server, 'listening');
    const sender = senderWith(allowed);
    const url = `http://unix:${path}:/`;
    const outcome = await sender.send(requestSource({ url }), 0);
    expect(outcome).toMatchObject({ statusCode: null, error: expect.any(String) });
    expect(connections).toBe(0);
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
});
