import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Workbench } from '../support/workbench.ts';

const MORTAL = pathToFileURL(join(import.meta.dirname, '../support/mortal-threads.ts')).href;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clear());

test('a process whose database thread has died ends with one line, and the next serves what was stored', async () => {
  const folder = join(bench.folder, 'signals');
  mkdirSync(folder);
  const file = join(folder, 'die');
  // Without threads that send, those of the database are the only ones.
  const server = await bench.start({ NODE_OPTIONS: `--import=${MORTAL}`, MORTAL_THREADS: file, SENDER_THREADS: '0' });
  const { id } = await server.createAccount('me@example.com');
  writeFileSync(file, '');
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.stderr).toMatch(/\nThe thread of the database has died \(The test wants it\.\)\. [^\n]*\n$/u);

  const next = await bench.start();
  const { account } = await next.data('query ($id: ID!) { account(id: $id) { email } }', { id });
  expect(account).toEqual({ email: 'me@example.com' });
});
