import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Surroundings {
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A program that somebody else wrote, with all the processes that it starts, and what they write. */
export class BackgroundProgram {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = '';
  #hasClosed = false;
  #waiting: (() => void)[] = [];

  constructor(file: string, options: readonly string[], surroundings: Surroundings) {
    // A group of its own: what is started by a script would outlive it.
    this.#child = spawn(file, options, { ...surroundings, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#wake();
      });
    }
    this.#closed = once(this.#child, 'close').finally(() => {
      this.#hasClosed = true;
      this.#wake();
    });
  }

  /** Resolves when it has written something like this. */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#output)) {
      if (this.#hasClosed) {
        throw new Error(`The program ended without a word of ${pattern}.\n${this.#output}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Resolves when all of them have ended. */
  async kill(): Promise<void> {
    if (!this.#hasClosed && this.#child.pid !== undefined) {
      process.kill(-this.#child.pid, 'SIGKILL');
      await this.#closed;
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) {
      wake();
    }
  }
}
