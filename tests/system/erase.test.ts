import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import Database from 'better-sqlite3';
import { describeWhere } from '../support/requirement.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { Workbench } from '../support/workbench.ts';

/** As the version before has left it in pages that nothing refers to. */
const READABLE = 'Bearer of-an-earlier-version';
const MIB = 1_048_576;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clear());

/** A database that was sealed before there was a note of what has to be erased. */
async function ofEarlierVersion(path: string, bytes: number): Promise<void> {
  const server = await bench.start({ DATABASE_URL: `sqlite:${path}` });
  await server.createAccount();
  await server.end();
  withFile(path, (file) => {
    file.exec(`drop table setting; delete from mikro_orm_migrations where name = '0004-setting'`);
    file.exec('create table filler (text text)');
    file.prepare('insert into filler values (?)').run('x'.repeat(bytes));
    file.exec('create table plain (text text)');
    file.prepare('insert into plain values (?)').run(READABLE.repeat(1_000));
    file.exec('drop table plain');
  });
  expect(holds(path)).toBe(true);
}

function holds(path: string): boolean {
  return [path, `${path}-wal`].some((file) => existsSync(file) && readFileSync(file, 'latin1').includes(READABLE));
}

function withFile<Result>(path: string, use: (file: Database.Database) => Result): Result {
  const file = new Database(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

const isDue = (path: string): boolean =>
  withFile(path, (file) => file.prepare(`select 1 from setting where name = 'erase-due'`).all().length > 0);

describe('what an earlier version has left readable in the file', () => {
  test('is erased by the first start', async () => {
    await ofEarlierVersion(bench.databasePath, 1_000);
    await bench.start();
    expect(holds(bench.databasePath)).toBe(false);
    expect(isDue(bench.databasePath)).toBe(false);
  });

  test('is erased by the next start when the one before did not come to the end of it', async () => {
    await ofEarlierVersion(bench.databasePath, 1_000);
    // Whoever reads keeps the log as it was.
    const reader = new Database(bench.databasePath);
    reader.exec('begin; select * from account');
    reader.prepare('select * from account').all();
    const first = await bench.start();
    expect(isDue(bench.databasePath)).toBe(true);
    await first.end('SIGKILL');
    reader.close();
    await bench.start();
    expect(isDue(bench.databasePath)).toBe(false);
    expect(holds(bench.databasePath)).toBe(false);
  });
});

const disk = new SmallDisk(24);
afterAll(() => disk.unmount());

describeWhere(disk.isMounted, 'root, and the right to mount a small file system')('without room', () => {
  const path = join(disk.path, 'test.db');
  const ballast = join(disk.path, 'some');

  test('a start that has to erase says how much is missing and changes nothing; with room it erases', async () => {
    await ofEarlierVersion(path, 6 * MIB);
    writeFileSync(ballast, Buffer.alloc(8 * MIB));
    const refused = bench.spawn({ DATABASE_URL: `sqlite:${path}` });
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(
      /^[^\n]* takes room for 2 copies [^\n]*: [1-9] MiB more have to be free in [^\n]*\n$/u,
    );
    expect(withFile(path, (file) => file.prepare(`select 1 from sqlite_schema where name = 'setting'`).all())).toEqual(
      [],
    );
    expect(holds(path)).toBe(true);

    rmSync(ballast);
    await bench.start({ DATABASE_URL: `sqlite:${path}` });
    expect(holds(path)).toBe(false);
    expect(isDue(path)).toBe(false);
  });

  test('at all a start says in one line that the disk is full', async () => {
    disk.fill();
    const refused = bench.spawn({ DATABASE_URL: `sqlite:${path}` });
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^DATABASE_URL names [^\n]*: its disk is full\.\n$/u);
    disk.free();
  });
});
