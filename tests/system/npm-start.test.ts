import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Workbench } from '../support/workbench.ts';

const NPM = ['npm', 'start', '--silent'];

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe('npm start', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s to npm stops the server, and leaves no process behind',
    async (signal) => {
      const server = await bench.start({}, { command: NPM });
      await server.createAccount();
      server.signal(signal);
      // Resolves only when no process holds the output open any more.
      await server.exited;
      expect(server.stderr).toMatch(/"msg":"stopped"/u);
      expect(() => process.kill(-server.pid, 0)).toThrow('ESRCH');
      await expect(fetch(server.urls.graphql)).rejects.toThrow('fetch failed');
    },
    60_000,
  );

  test('a signal to all of its processes at once, as a terminal sends it, stops the server in order', async () => {
    const server = await bench.start({}, { command: NPM });
    server.signalAll('SIGINT');
    await server.exited;
    expect(server.stderr).toMatch(/"msg":"stopped"/u);
    expect(() => process.kill(-server.pid, 0)).toThrow('ESRCH');
  }, 60_000);
});
