import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { openStorage } from '../../src/storage/storage.ts';
import { describeWhere } from '../support/requirement.ts';
import { Workbench } from '../support/workbench.ts';

const EVENTS = 25;
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe("the settings of the application's own connection", () => {
  const durable = { journal_mode: 'wal', synchronous: 2, foreign_keys: 1, busy_timeout: 5000 };

  test('make commits durable on a fresh file', async () => {
    expect(await settings()).toEqual(durable);
  });

  test('make commits durable on a file that exists already', async () => {
    await settings();
    expect(await settings()).toEqual(durable);
  });

  test('make commits durable on the file of a server that was killed', async () => {
    const server = await bench.start();
    await server.createAccount();
    await server.end('SIGKILL');
    expect(await settings()).toEqual(durable);
  });

  async function settings(): Promise<Record<string, unknown>> {
    const storage = await openStorage({ type: 'sqlite', path: bench.databasePath });
    try {
      const database = storage.fork().getKysely() as unknown as Kysely<unknown>;
      const names = Object.keys(durable);
      const values = await Promise.all(
        names.map(async (name) => {
          const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(database);
          return Object.values(rows[0] ?? {})[0];
        }),
      );
      return Object.fromEntries(names.map((name, index) => [name, values[index]]));
    } finally {
      await storage.close();
    }
  }
});

describeWhere(canTrace, 'strace, and the right to trace a process')('the system calls of the server', () => {
  test('the log of the database is synced between each event and its 202', async () => {
    const trace = join(bench.folder, 'trace');
    const calls = ['-e', 'trace=fsync,fdatasync,read,write,writev,sendto'];
    const server = await bench.start({}, { under: ['strace', '-ff', '-y', '-s', '32', ...calls, '-o', trace] });
    // Without destinations nothing but the event itself is ever written.
    const { token } = await server.createAccount();
    for (let number = 0; number < EVENTS; number += 1) {
      await server.sendAccepted(token, `{"number":${number}}`);
    }
    server.signalAll('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });

    const steps = ingestSteps(trace);
    expect(steps.filter((step) => step === 'answer')).toHaveLength(EVENTS);
    // A commit may sync more than once, never less.
    const order = steps.join(' ').replaceAll(/sync( sync)+/gu, 'sync');
    expect(order).toBe(Array(EVENTS).fill('request sync answer').join(' '));
    process.stdout.write(
      `durability: ${EVENTS} acknowledged events, ${steps.length - 2 * EVENTS} syncs of the log before their answers\n`,
    );
  }, 60_000);
});

/** What the thread that answers did, in order, from the first event to the last answer. */
function ingestSteps(trace: string): string[] {
  const steps = traceOfAnswers(trace)
    .split('\n')
    .flatMap((line) => {
      if (/^read\(.*"POST \/server\/incoming_data/u.test(line)) {
        return ['request'];
      }
      if (/^(?:fsync|fdatasync)\(.*\.db-wal>\) += 0$/u.test(line)) {
        return ['sync'];
      }
      return /^(?:write|writev|sendto)\(.*"HTTP\/1\.1 202/u.test(line) ? ['answer'] : [];
    });
  return steps.slice(steps.indexOf('request'), steps.lastIndexOf('answer') + 1);
}

/** The tracer writes one file for each thread, and one thread answers. */
function traceOfAnswers(trace: string): string {
  const files = readdirSync(bench.folder).map((name) => join(bench.folder, name));
  const texts = files.filter((file) => file.startsWith(trace)).map((file) => readFileSync(file, 'utf8'));
  const answering = texts.filter((text) => text.includes('"HTTP/1.1 202'));
  expect(answering).toHaveLength(1);
  return answering[0] ?? '';
}
