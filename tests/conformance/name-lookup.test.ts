import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AttemptOutcome } from '../../src/core/delivery.ts';
import { HttpSender, type Sender } from '../../src/dispatch/http-sender.ts';
import type { NameLookupOptions } from '../../src/dispatch/name-lookup.ts';
import { SenderPool } from '../../src/dispatch/sender-pool.ts';
import { createLog, Telemetry } from '../../src/observe/telemetry.ts';
import { ConnectionCounter } from '../support/connection-counter.ts';
import { DnsServer, type Zone } from '../support/dns-server.ts';
import { freePort } from '../support/free-port.ts';
import { requestSource } from '../support/request-source.ts';

const telemetry = new Telemetry(createLog({ level: 'silent', readable: false }));

const zone: Zone = (name, family) => {
  if (name.startsWith('silent')) {
    return 'silence';
  }
  if (name.startsWith('half-silent')) {
    return family === 4 ? ['127.0.0.1'] : 'silence';
  }
  return name.startsWith('good') ? (family === 4 ? ['127.0.0.1'] : []) : name.startsWith('none') ? [] : 'unknown';
};

describe.each<[where: string, create: (names: NameLookupOptions, timeoutMs: number) => Sender]>([
  [
    'on the main thread',
    (names, timeoutMs) =>
      new HttpSender({ userAgent: 'test', timeoutMs, egress: { rule: undefined, proxyUrl: undefined, names } }),
  ],
  [
    'in threads',
    (names, timeoutMs) =>
      new SenderPool({
        threads: 1,
        userAgent: 'test',
        timeoutMs,
        telemetry,
        egress: { rule: undefined, proxyUrl: undefined, names },
      }),
  ],
])('a sender %s', (_where, create) => {
  let folder: string;
  let dns: DnsServer;
  let receiver: ConnectionCounter;
  let sender: Sender;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'data-pusher-names-'));
    dns = await DnsServer.start(zone, { ttl: 60 });
    // Closing after each answer makes every request connect, and so look up, anew.
    receiver = await ConnectionCounter.start('127.0.0.1', 0, (_request, response) =>
      response.writeHead(200, { Connection: 'close' }).end(),
    );
    sender = create({ servers: [dns.address], resolvPath: file('resolv.conf', '') }, 15_000);
  });
  afterEach(async () => {
    sender.close();
    dns.close();
    await receiver.stop();
    rmSync(folder, { recursive: true });
  });

  function file(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  function useSender(names: NameLookupOptions, timeoutMs = 15_000): void {
    sender.close();
    sender = create(names, timeoutMs);
  }

  function post(host: string): Promise<AttemptOutcome | undefined> {
    return sender.send(requestSource({ url: `http://${host}:${receiver.port}/` }), 0);
  }

  async function errorsOf(hosts: readonly string[]): Promise<unknown[]> {
    const outcomes = await Promise.all(hosts.map((host) => post(host)));
    return outcomes.map((outcome) => outcome?.error);
  }

  test('calls other names while a name server is silent to forty', async () => {
    const silent = Array.from({ length: 40 }, (__, number) => post(`silent-${number}.example`));
    for (let number = 0; number < 10; number += 1) {
      expect(await post(`good-${number}.example`)).toMatchObject({ statusCode: 200, error: null });
    }
    sender.close();
    expect(await Promise.all(silent)).toEqual(silent.map(() => undefined));
  });

  test('tells that it was the name, within the time of the request', async () => {
    useSender({ servers: [dns.address] }, 1_000);
    expect(await errorsOf(['silent.example', 'none.example', 'unknown.example'])).toEqual(['DNS', 'DNS', 'DNS']);
    useSender({ servers: [`127.0.0.1:${await freePort()}`] });
    expect(await errorsOf(['good.example', `${'a'.repeat(64)}.example`])).toEqual(['DNS', 'DNS']);
  });

  test('does not wait for the addresses of one family when it has those of the other', async () => {
    expect(await post('half-silent.example')).toMatchObject({ statusCode: 200 });
  });

  test('asks once for all who ask at the same time, and keeps the answer for those who come later', async () => {
    expect(await errorsOf(Array.from({ length: 100 }, () => 'good.example'))).toEqual(Array(100).fill(null));
    expect(await post('GOOD.example')).toMatchObject({ statusCode: 200 });
    expect(dns.asked.toSorted()).toEqual(['good.example 4', 'good.example 6']);
    expect(receiver.connections).toBe(101);
  });

  test('keeps no answer that says that it is good for no time', async () => {
    const hasty = await DnsServer.start(zone);
    useSender({ servers: [hasty.address] });
    await post('good.example');
    await post('good.example');
    hasty.close();
    expect(hasty.asked).toHaveLength(4);
  });

  test('finds localhost and what the hosts file says without any name server', async () => {
    const hostsPath = file('hosts', '# none\n127.0.0.1 Local.Name other # localhost\n::2 two\n127.0.0.1\ttwo\n');
    useSender({ servers: [`127.0.0.1:${await freePort()}`], hostsPath });
    const names = ['localhost', 'sub.localhost', 'local.name', 'LOCAL.name', 'other.', 'two'];
    expect(await errorsOf(names)).toEqual(names.map(() => null));
    useSender({ servers: [dns.address], hostsPath: join(folder, 'missing') });
    expect(await post('localhost')).toMatchObject({ statusCode: 200 });
    expect(dns.asked).toEqual([]);
  });

  test('makes short names longer by the search list, and whole ones only when they are not found', async () => {
    const resolvPath = file('resolv.conf', 'search first.example good.example\noptions ndots:2 timeout:1\n');
    const among = await DnsServer.start((name, family) =>
      name === 'hooks.good.example' ? zone('good', family) : 'unknown',
    );
    useSender({ servers: [among.address], resolvPath });
    expect(await post('hooks')).toMatchObject({ statusCode: 200 });
    expect(await post('hooks.good.example')).toMatchObject({ statusCode: 200 });
    expect(await post('hooks.')).toMatchObject({ error: 'DNS' });
    among.close();
    expect(among.asked.filter((one) => one.endsWith(' 4'))).toEqual([
      'hooks.first.example 4',
      'hooks.good.example 4',
      'hooks.good.example 4',
      'hooks 4',
    ]);
  });
});
