import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Workbench } from '../support/workbench.ts';

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe('two servers on one database file', () => {
  test('the second is refused with one clear line, and the first goes on', async () => {
    const receiver = await bench.receiver();
    const first = await bench.start();
    const { id, token } = await first.createAccount();
    await first.createDestination(id, receiver.url());

    const second = bench.spawn();
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stdout).toBe('');
    expect(second.stderr).toBe(`The database ${bench.databasePath} is in use by another Data Pusher process.\n`);

    await first.sendAccepted(token, '{"still":"here"}');
    const [received] = await receiver.arrived(1);
    expect(received?.body.toString()).toBe('{"still":"here"}');
    expect(await first.end()).toEqual({ code: 0, signal: null });
  });

  test('the file is free at once when its server was killed, and keeps what was stored', async () => {
    const first = await bench.start();
    const { id } = await first.createAccount('me@example.com');
    await first.end('SIGKILL');

    const second = await bench.start();
    const { account } = await second.data('query ($id: ID!) { account(id: $id) { email } }', { id });
    expect(account).toEqual({ email: 'me@example.com' });
  });

  test('of two that start at the same moment exactly one serves', async () => {
    const servers = [bench.spawn(), bench.spawn()];
    const outcomes = await Promise.all(
      servers.map((server) =>
        server.ready().then(
          () => 'ready',
          () => 'refused',
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(['ready', 'refused']);
    const refused = servers[outcomes.indexOf('refused')];
    expect(refused?.stderr).toMatch(/^The database \S+ is in use by another Data Pusher process\.\n$/u);
  });

  test.each(['a link to the file', 'a link to its folder'])('the second is refused by way of %s too', async (way) => {
    const other = join(bench.folder, 'other');
    const [link, path] =
      way === 'a link to the file' ? [bench.databasePath, other] : [bench.folder, join(other, 'test.db')];
    symlinkSync(link, other);
    const first = await bench.start();
    const second = bench.spawn({ DATABASE_URL: `sqlite:${path}` });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr).toBe(`The database ${path} is in use by another Data Pusher process.\n`);
    const { id } = await first.createAccount('me@example.com');
    await first.end();
    const third = await bench.start({ DATABASE_URL: `sqlite:${path}` });
    const { account } = await third.data('query ($id: ID!) { account(id: $id) { email } }', { id });
    expect(account).toEqual({ email: 'me@example.com' });
  });

  test('a link that leads to no file yet, and the file that is made by way of it, are the same database', async () => {
    const link = join(bench.folder, 'link');
    symlinkSync(bench.databasePath, link);
    await bench.start({ DATABASE_URL: `sqlite:${link}` });
    const second = bench.spawn();
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr).toMatch(/ is in use by another Data Pusher process\.\n$/u);
  });

  test('a file with another name is refused in one line: what is in the log beside one name would be lost to the other', async () => {
    const first = await bench.start();
    const folder = join(bench.folder, 'elsewhere');
    mkdirSync(folder);
    linkSync(bench.databasePath, join(folder, 'test.db'));
    const second = bench.spawn({ DATABASE_URL: `sqlite:${join(folder, 'test.db')}` });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr).toMatch(/^DATABASE_URL names [^\n]* 2 names \(hard links\)[^\n]*\n$/u);
    expect(first.isRunning).toBe(true);
  });
});
