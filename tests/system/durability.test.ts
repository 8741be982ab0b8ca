import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import { loadVault } from '../../src/config/key-file.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
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
    const database = { type: 'sqlite', path: bench.databasePath } as const;
    const storage = await openStorage(database, loadVault({ encryptionKeys: [], database }));
    try {
      const kysely = storage.fork(EVERYTHING).getKysely() as unknown as Kysely<unknown>;
      const names = Object.keys(durable);
      const values = await Promise.all(
        names.map(async (name) => {
          const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(kysely);
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
    const server = await bench.start({}, { under: ['strace', '-f', '-y', '-s', '32', ...calls, '-o', trace] });
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

/** Events, syncs of the log and answers, in the order in which they happened, whichever thread they happened in. */
function ingestSteps(trace: string): string[] {
  const syncing = new Set<string>();
  const steps = readFileSync(trace, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [thread = ''] = line.split(' ', 1);
      if (/ (?:read\(|<\.\.\. read resumed>).*"POST \/server\/incoming_data/u.test(line)) {
        return ['request'];
      }
      if (/ (?:fsync|fdatasync)\(.*\.db-wal> <unfinished/u.test(line)) {
        syncing.add(thread);
        return [];
      }
      // A call that another thread's calls have interrupted in the trace counts when it has returned.
      const resumed = / <\.\.\. (?:fsync|fdatasync) resumed>\) += 0$/u.test(line) && syncing.delete(thread);
      if (resumed || / (?:fsync|fdatasync)\(.*\.db-wal>\) += 0$/u.test(line)) {
        return ['sync'];
      }
      return / (?:write|writev|sendto)\(.*"HTTP\/1\.1 202/u.test(line) ? ['answer'] : [];
    });
  return steps.slice(steps.indexOf('request'), steps.lastIndexOf('answer') + 1);
}
