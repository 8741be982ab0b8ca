import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Burst, Report } from './ledger-sender.ts';

const PROGRAM = fileURLToPath(new URL('./ledger-sender.ts', import.meta.url));

/** The sender in a process of its own, with the ledger it keeps. */
export class SenderProcess {
  readonly #child: ChildProcess;
  readonly #ledgerPath: string;

  constructor(ledgerPath: string) {
    this.#ledgerPath = ledgerPath;
    this.#child = fork(PROGRAM, [ledgerPath], { execArgv: [], stdio: 'inherit' });
  }

  /**
   * Posts until the server is gone.
   *
   * @param onAcknowledged is told how many of this burst have been acknowledged.
   * @returns the last number that was sent.
   */
  burst(burst: Burst, onAcknowledged: (count: number) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      let count = 0;
      const listen = (report: Report): void => {
        if (report.kind === 'acknowledged') {
          count += 1;
          onAcknowledged(count);
          return;
        }
        this.#child.off('message', listen);
        if (report.kind === 'ended') {
          resolve(report.lastNumber);
        } else {
          reject(new Error(`Neither accepted nor cut off: ${report.answer}`));
        }
      };
      this.#child.on('message', listen);
      this.#child.send(burst);
    });
  }

  /** Event ids by number. */
  acknowledged(): Map<number, string> {
    return readLedger(this.#ledgerPath);
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await exited;
    }
  }
}

/** Event ids by number. */
export function readLedger(path: string): Map<number, string> {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [number, eventId = ''] = line.split(' ');
        return [Number(number), eventId];
      }),
  );
}
