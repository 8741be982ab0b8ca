import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { App } from '../../src/app.ts';
import { ApiClient } from './api-client.ts';

/** What there is to run, after a build. */
export const PROGRAM = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const READY = /GraphQL +(?<graphql>\S+)\n +Ingest +(?<ingest>\S+)\n/u;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  /** The whole command line, where it is not the built program. */
  readonly command?: readonly string[];
  /** What comes before the command line of the built program, such as a tracer. */
  readonly under?: readonly string[];
  readonly cwd?: string;
}

/** The built server in a process of its own, known by nothing but what it prints and answers. */
export class ServerProcess extends ApiClient {
  /** Resolves when the process has ended and nobody holds its output open any more. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #isGroup: boolean;
  readonly #output = { stdout: '', stderr: '' };
  #urls: App['urls'] | undefined;
  #waiting: (() => void)[] = [];
  #hasExited = false;

  /** @param variables the whole environment, besides the search path. */
  constructor(variables: Readonly<Record<string, string>>, { command, under = [], cwd }: SpawnOptions = {}) {
    super();
    const [file = '', ...rest] = command ?? [...under, process.execPath, '--enable-source-maps', PROGRAM];
    this.#isGroup = command !== undefined || under.length > 0;
    this.#child = spawn(file, rest, {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own where there is more than one process, so that a signal can reach all of them.
      detached: this.#isGroup,
      ...(cwd !== undefined && { cwd }),
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#output[name] += text;
        this.#wake();
      });
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#hasExited = true;
        this.#wake();
        resolve({ code, signal });
      });
    });
  }

  /** Resolves when the server has said that it is ready. */
  async ready(): Promise<this> {
    const { groups } = await this.said(READY);
    const { graphql = '', ingest = '' } = groups ?? {};
    this.#urls = { graphql, ingest, health: new URL('/health', graphql).href };
    return this;
  }

  override get urls(): App['urls'] {
    if (this.#urls === undefined) {
      throw new Error('The server is not ready yet.');
    }
    return this.#urls;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN;
  }

  get isRunning(): boolean {
    return !this.#hasExited;
  }

  /** Resolves with the first match in what the process prints. */
  async said(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output[stream]);
      if (match !== null) {
        return match;
      }
      if (this.#hasExited) {
        throw new Error(`The process ended without a word of ${pattern}.\n${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The same to the process and to all that it has started. */
  signalAll(signal: NodeJS.Signals): void {
    if (!this.#isGroup) {
      this.signal(signal);
      return;
    }
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
        throw error;
      }
    }
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal(signal);
    return this.exited;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) {
      wake();
    }
  }
}
