import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ServerProcess } from '../support/server-process.ts';
import { type StoredEvent, storedEvents } from '../support/stored-events.ts';
import { Workbench } from '../support/workbench.ts';

/** Generous, because other tests run beside this one; alone it takes about a second. */
const READY_WITHIN_MS = 5_000;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe('the start on an empty database', () => {
  test('the server is ready soon, says where it listens, and writes nothing that looks like a warning', async () => {
    const began = performance.now();
    const server = await bench.start();
    expect(performance.now() - began).toBeLessThan(READY_WITHIN_MS);
    expect((await fetch(`${server.urls.health}/ready`)).status).toBe(200);
    expect(server.urls.graphql).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/graphql$/u);
    expect(server.urls.ingest).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/server\/incoming_data$/u);
    expect(await server.end()).toEqual({ code: 0, signal: null });
    expect(server.stderr).not.toMatch(/warn|deprecat|experimental|error/iu);
  });

  test('the three commands it prints deliver an event, run as they are', async () => {
    const server = await bench.start();
    const commands = await printedCommands(server);
    expect(commands).toHaveLength(3);
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euc', commands.join('\n')], { encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });

    expect(stdout).toContain('"deliveries":1');
    const { accounts } = await server.data('{ accounts { nodes { id } } }');
    const ofAccount = () => storedEvents(server, accounts.nodes[0].id);
    const events = await server.eventually(ofAccount, areSucceeded);
    expect([...events.values()].map(({ payloadText }) => payloadText)).toEqual(['{"hello":"world"}']);
  });
});

test('with ADMIN_TOKEN the commands it prints send it', async () => {
  const ADMIN_TOKEN = 'the-administrator-of-the-tests';
  const server = await bench.start({ ADMIN_TOKEN });
  const script = (await printedCommands(server)).join('\n');
  const run = (env: Record<string, string>) =>
    spawnSync('bash', ['--norc', '-ec', script], { encoding: 'utf8', env: { ...process.env, ...env } }).stdout;
  expect(run({ ADMIN_TOKEN })).toContain('"deliveries":1');
  expect(run({ ADMIN_TOKEN: 'another' })).toContain('UNAUTHENTICATED');
  expect(server.stdout).not.toContain('Access');
});

describe('the start on a database with an account', () => {
  test('the server says where it listens and who the administrator is, and nothing more', async () => {
    const first = await bench.start();
    await first.createAccount();
    await first.end();

    const second = await bench.start();
    await second.end();
    const { graphql, ingest } = second.urls;
    expect(second.stdout).toBe(
      `Data Pusher is ready.\n  GraphQL  ${graphql}\n  Ingest   ${ingest}\n  Access   all programs on this machine are the administrator; ADMIN_TOKEN would change that\n`,
    );
  });
});

describe('a start that cannot be', () => {
  test.each([
    ['PORT', 'http'],
    ['DATABASE_URL', 'mysql://localhost/events'],
    ['LOG_LEVEL', 'loud'],
    ['MAX_BODY_BYTES', '1MB'],
    ['DELIVERY_TIMEOUT', '15'],
    ['RETRY_SCHEDULE', '5s,soon'],
    ['MAX_CONCURRENCY', '0'],
    ['MAX_CONCURRENCY_PER_DESTINATION', '300'],
    ['SHUTDOWN_TIMEOUT', 'never'],
    ['HOST', 'no.such.host.invalid'],
    ['HOST', '192.0.2.1'],
  ])('%s=%s ends it with one line that names the variable', async (name, value) => {
    const server = bench.spawn({ [name]: value });
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stdout).toBe('');
    expect(server.stderr).toMatch(new RegExp(`^[^\\n]*\\b${name}\\b[^\\n]*\\.\\n$`, 'u'));
    expect(server.stderr).not.toMatch(/ at .*:\d+/u);
  });

  test('a port in use ends it with one line that names the port', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { port } = other.address() as AddressInfo;
      const server = bench.spawn({ PORT: port.toString() });
      expect(await server.exited).toEqual({ code: 1, signal: null });
      expect(server.stdout).toBe('');
      expect(server.stderr).toBe(`The address 127.0.0.1:${port} is in use by another program; choose another PORT.\n`);
    } finally {
      other.close();
    }
  });

  test.each([
    ['a folder', '.'],
    ['below a file', 'file/test.db'],
    ['no database', 'file'],
  ])('a database path that is %s ends it with one line that names the variable', async (_what, path) => {
    writeFileSync(join(bench.folder, 'file'), 'This is no database, but a text of some length.\n'.repeat(100));
    const server = bench.spawn({ DATABASE_URL: `sqlite:${join(bench.folder, path)}` });
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stderr).toMatch(/^[^\n]*\bDATABASE_URL\b[^\n]*\n$/u);
  });
});

async function printedCommands(server: ServerProcess): Promise<string[]> {
  const { input } = await server.said(/TOKEN=.*\n/u);
  return [...input.matchAll(/^ {2}(\w+=.*)$/gmu)].map(([, command = '']) => command);
}

function areSucceeded(events: ReadonlyMap<string, StoredEvent>): boolean {
  return events.size > 0 && [...events.values()].every(({ deliveryStatuses }) => deliveryStatuses[0] === 'SUCCEEDED');
}
