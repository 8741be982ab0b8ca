import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, Receiver } from './receiver.ts';
import { ServerProcess, type SpawnOptions } from './server-process.ts';

/** A temporary folder with one database, and the servers and receivers that a test starts around it. */
export class Workbench {
  readonly folder = mkdtempSync(join(tmpdir(), 'data-pusher-system-'));
  readonly databasePath = join(this.folder, 'test.db');
  readonly #servers: ServerProcess[] = [];
  readonly #receivers: Receiver[] = [];

  /** Starts a server without waiting for anything. */
  spawn(variables: Readonly<Record<string, string>> = {}, options?: SpawnOptions): ServerProcess {
    const server = new ServerProcess({ PORT: '0', DATABASE_URL: `sqlite:${this.databasePath}`, ...variables }, options);
    this.#servers.push(server);
    return server;
  }

  async start(variables: Readonly<Record<string, string>> = {}, options?: SpawnOptions): Promise<ServerProcess> {
    return this.spawn(variables, options).ready();
  }

  async receiver(answer?: Answer): Promise<Receiver> {
    const receiver = await Receiver.start(answer);
    this.#receivers.push(receiver);
    return receiver;
  }

  /** Ends what still runs, however the test went. */
  async clear(): Promise<void> {
    for (const server of this.#servers.filter(({ isRunning }) => isRunning)) {
      server.signalAll('SIGKILL');
      await server.exited;
    }
    await Promise.all(this.#receivers.map((receiver) => receiver.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
