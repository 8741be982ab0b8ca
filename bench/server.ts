import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/src/main.js', import.meta.url));
/** It is ready in about a second; a server that hangs must not hang the benchmark. */
const READY_WITHIN_MS = 30_000;
/** The server has 10 seconds of its own to stop in. */
const KILL_AFTER_MS = 15_000;
const READY = /GraphQL +(?<graphql>\S+)\n +Ingest +(?<ingest>\S+)\n|Health +\S+\n/u;

export interface Urls {
  readonly graphql: string;
  readonly ingest: string;
}

/** One process of the built server, with the settings it has by default besides those given. */
export class Server {
  readonly #child: ChildProcess;

  /** @param flags for Node */
  constructor(variables: Readonly<Record<string, string>>, flags: readonly string[], program = MAIN) {
    this.#child = spawn(process.execPath, [...flags, program], {
      env: { ...process.env, PORT: '0', LOG_LEVEL: 'warn', ...variables },
      stdio: ['ignore', 'pipe', 'inherit'],
      // Out of reach of the terminal's Ctrl-C: the benchmark stops it.
      detached: true,
    });
  }

  /** @returns where its API is; a process that only makes deliveries has none. */
  async ready(): Promise<Urls | undefined> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), READY_WITHIN_MS);
    let printed = '';
    for await (const line of createInterface({ input: this.#child.stdout as Readable })) {
      printed += `${line}\n`;
      const match = READY.exec(printed);
      if (match !== null) {
        clearTimeout(timer);
        const { graphql, ingest } = match.groups ?? {};
        return graphql === undefined || ingest === undefined ? undefined : { graphql, ingest };
      }
    }
    clearTimeout(timer);
    throw new Error(`The server was not ready within ${READY_WITHIN_MS} ms.`);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return;
    }
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS);
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
    clearTimeout(timer);
  }
}
