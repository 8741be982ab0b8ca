import { chmodSync, existsSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PROGRAM } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const ENDS = ['', '-wal', '-shm', '.lock'];
const PRIVATE = ENDS.map((end) => [end, '600']);

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clear());

describe('the files of a SQLite database', () => {
  test("are their owner's alone from the first moment, whatever the process may give away", async () => {
    const command = ['sh', '-c', 'umask 000; exec "$@"', 'sh', process.execPath, '--enable-source-maps', PROGRAM];
    const server = await bench.start({}, { command });
    await server.createAccount();
    expect(modes()).toEqual(PRIVATE);
  });

  test('that an earlier version has left readable to all are so no longer', async () => {
    const first = await bench.start();
    await first.createAccount();
    await first.end('SIGKILL');
    for (const end of ENDS) {
      chmodSync(bench.databasePath + end, 0o644);
    }
    await bench.start();
    expect(modes()).toEqual(PRIVATE);
  });
});

function modes(): string[][] {
  return ENDS.map((end) => {
    const file = bench.databasePath + end;
    return [end, existsSync(file) ? (statSync(file).mode & 0o777).toString(8) : 'none'];
  });
}
