import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readLedger } from './sender-process.ts';
import type { Aim, Answered } from './steady-sender.ts';

const PROGRAM = fileURLToPath(new URL('./steady-sender.ts', import.meta.url));

/** The steady sender in a process of its own, and every answer it got. */
export class SteadyLoad {
  readonly answers: Answered[] = [];
  /** When the answer to each number came, on the clock of `performance.now()`. */
  readonly answeredAt = new Map<number, number>();
  readonly #child: ChildProcess;
  readonly #ledgerPath: string;
  #waiting: (() => void)[] = [];

  constructor(ledgerPath: string) {
    this.#ledgerPath = ledgerPath;
    this.#child = fork(PROGRAM, [ledgerPath], { execArgv: [], stdio: 'inherit' });
    this.#child.on('message', (answered: Answered) => {
      this.answers.push(answered);
      this.answeredAt.set(answered.number, performance.now());
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) {
        wake();
      }
    });
  }

  /** Where to post from now on. */
  aim(aim: Aim): void {
    this.#child.send(aim);
  }

  /** The last number that has been answered, or 0. */
  get lastNumber(): number {
    return this.answers.reduce((last, { number }) => Math.max(last, number), 0);
  }

  /** Resolves when so many more events have been accepted. */
  async accepted(count: number): Promise<void> {
    const from = this.answers.length;
    while (this.answers.slice(from).filter(({ status }) => status === 202).length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Event ids by number. */
  acknowledged(): Map<number, string> {
    return readLedger(this.#ledgerPath);
  }

  /** Sends nothing more, and resolves when all that was sent has been answered. */
  async finish(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.send('stop');
    await exited;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
  }
}
