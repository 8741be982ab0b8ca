import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import Database from 'better-sqlite3';
import { sqliteMigrations } from '../../src/storage/migrations/sqlite/index.ts';
import { intrudePostgresql } from '../support/intruder.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import { PROGRAM } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const MIGRATE = { command: [process.execPath, PROGRAM, 'migrate'] };

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(async () => {
  await bench.clear();
});

describe('the command "migrate"', () => {
  const databases = TEST_DATABASE_URL === undefined ? ['SQLite'] : ['SQLite', 'PostgreSQL'];

  test.each(databases)('on %s names what it applied, and the next time says that there is nothing', async (name) => {
    await using temporary = await database(name);
    const first = bench.spawn(temporary.variables, MIGRATE);
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(first.stdout).toBe(sqliteMigrations.map((one) => `Applied the migration ${one.name}.\n`).join(''));
    const second = bench.spawn(temporary.variables, MIGRATE);
    expect(await second.exited).toEqual({ code: 0, signal: null });
    expect(second.stdout).toBe('There was no migration to apply.\n');
    expect(first.stderr + second.stderr).toBe('');
  });

  test('a command that does not exist is refused in one line', async () => {
    const program = bench.spawn({}, { command: [process.execPath, PROGRAM, 'migrat'] });
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/^[^\n]*"migrat"[^\n]*\n$/u);
  });
});

const onPostgresql = TEST_DATABASE_URL === undefined ? describe.skip : describe;

onPostgresql('a PostgreSQL server that refuses', () => {
  test.each([
    ['a user that it does not know', (url: URL) => (url.username = 'nobody_of_that_name'), '"nobody_of_that_name"'],
    ['a database that it does not have', (url: URL) => (url.pathname = '/none_of_that_name'), '"none_of_that_name"'],
    ['a port where nobody listens', (url: URL) => (url.port = '1'), 'ECONNREFUSED'],
    ['a name with two addresses where nobody listens', (url: URL) => (url.host = 'localhost:1'), 'ECONNREFUSED'],
    ['a host that does not exist', (url: URL) => (url.hostname = 'no.such.host.invalid'), 'no.such.host.invalid'],
    ['TLS, which it does not speak', (url: URL) => (url.search = '?sslmode=verify-full'), 'SSL'],
  ])('%s is told in one line', async (_what, change, named) => {
    const line = await refusalOf(change, undefined);
    expect(line).toMatch(/^PostgreSQL refuses the connection of DATABASE_URL: /u);
    expect(line).toContain(named);
  });

  test('a user that may not make tables is told in one line what to grant', async () => {
    const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    const admin = await intrudePostgresql(url);
    const role = `test_${crypto.randomUUID().replaceAll('-', '')}`;
    try {
      await admin.execute(`create role ${role} login; revoke create on schema public from public`);
      const line = await refusalOf((other) => {
        other.username = role;
        other.pathname = new URL(url).pathname;
      }, MIGRATE.command);
      expect(line).toMatch(
        /^PostgreSQL does not let the user [^\n]*: permission denied for schema public\. [^\n]*grant create/u,
      );
    } finally {
      await admin.execute(`drop role ${role}`);
      await admin.close();
      await drop();
    }
  });
});

test('a server does not start on a database newer than itself, and says so in one line', async () => {
  await bench.spawn({}, MIGRATE).exited;
  const file = new Database(bench.databasePath);
  file.exec(`insert into mikro_orm_migrations (name) values ('9999-of-the-future')`);
  file.close();
  const server = bench.spawn();
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.stdout).toBe('');
  expect(server.stderr).toMatch(/^[^\n]*"9999-of-the-future"[^\n]*\n$/u);
});

/** The variables that name an empty database. */
async function database(name: string) {
  if (name === 'SQLite') {
    return { variables: {}, [Symbol.asyncDispose]: async () => {} };
  }
  const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
  return { variables: { DATABASE_URL: url, ENCRYPTION_KEY }, [Symbol.asyncDispose]: drop };
}

/** @returns the one line that a start on another address ends with. */
async function refusalOf(change: (url: URL) => void, command: readonly string[] | undefined): Promise<string> {
  const url = new URL(TEST_DATABASE_URL ?? '');
  change(url);
  const program = bench.spawn({ DATABASE_URL: url.href, ENCRYPTION_KEY }, command && { command });
  expect(await program.exited).toEqual({ code: 1, signal: null });
  expect(program.stderr).toMatch(/^[^\n]*\n$/u);
  return program.stderr;
}
