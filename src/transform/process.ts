import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answer, FrameReader, packOrder, unpackAnswer, type Verdict } from './protocol.ts';
import type { Job } from './turns.ts';

/** The monitor ends an expression long before; this is for a process that does not start, or was stopped by somebody. */
const SILENCE_MS_MAX = 30_000;

/** V8 ends a process that has no more memory by one of these. */
const CRASHES: ReadonlySet<string> = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGSEGV', 'SIGBUS']);

/**
 * Bounds on memory and depth; no way to files, to other programs, to the network and to code; one thread for everything
 * that the engine does, so that its processor time is the expression's.
 */
const FLAGS = [
  '--max-old-space-size=96',
  '--single-threaded',
  '--disallow-code-generation-from-strings',
  '--disable-proto=delete',
  '--permission',
  '--allow-worker',
];

/** Why a process has ended: it gave a verdict itself, the engine ran out of memory, or somebody else ended it. */
export type Ending = Verdict | 'crash' | 'outside';

export interface ProcessListener {
  readonly ready: () => void;
  readonly answered: (job: Job, answer: Answer) => void;
  /** @param unanswered in order; the first one was running */
  readonly ended: (process: TransformProcess, ending: Ending, unanswered: readonly Job[]) => void;
}

/** A process that transforms, as the server sees it. It takes several jobs ahead, and runs one after the other. */
export class TransformProcess {
  readonly #listener: ProcessListener;
  readonly #child: ChildProcess;
  readonly #frames = new FrameReader();
  readonly #silence: NodeJS.Timeout;
  #jobs: Job[] = [];
  #aheadMs = 0;
  #aheadBytes = 0;
  #verdict = '';
  #isReady = false;
  #hasEnded = false;

  constructor(listener: ProcessListener) {
    this.#listener = listener;
    this.#child = start();
    const { stdin, stdout, stdio } = this.#child;
    stdout?.on('data', (chunk: Buffer) => this.#read(chunk));
    stdio[3]?.on('data', (chunk: Buffer) => {
      this.#verdict += chunk.toString();
    });
    for (const stream of [stdin, stdout, stdio[3]]) {
      stream?.on('error', () => undefined); // The end of the process says it all.
    }
    this.#child.on('error', () => this.#end('outside'));
    this.#child.on('close', (code, signal) => this.#end(endingOf(this.#verdict, code, signal)));
    this.#silence = setTimeout(() => this.#endSilence(), SILENCE_MS_MAX);
    this.#silence.unref();
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get jobs(): readonly Job[] {
    return this.#jobs;
  }

  /** What its jobs are expected to take. */
  get aheadMs(): number {
    return this.#aheadMs;
  }

  get aheadBytes(): number {
    return this.#aheadBytes;
  }

  send(job: Job): void {
    this.#count(job, 1);
    if (this.#jobs.push(job) === 1) {
      this.#silence.refresh();
      this.#keepAlive(true);
    }
    const [head, payload] = packOrder(job.order);
    const { stdin } = this.#child;
    if (stdin?.writableCorked === 0) {
      // Orders of the same turn of the event loop go in one write.
      stdin.cork();
      setImmediate(() => stdin.uncork());
    }
    stdin?.write(head);
    stdin?.write(payload);
  }

  /** Lets it finish what it has. */
  end(): void {
    this.#child.stdin?.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #read(chunk: Buffer): void {
    for (const frame of this.#frames.push(chunk)) {
      if (!this.#isReady) {
        this.#isReady = true;
        this.#keepAlive(false);
        this.#listener.ready();
        continue;
      }
      const job = this.#jobs.shift();
      if (this.#jobs.length === 0) {
        this.#keepAlive(false);
      }
      this.#silence.refresh();
      if (job !== undefined) {
        this.#count(job, -1);
        this.#listener.answered(job, unpackAnswer(frame));
      }
    }
  }

  #end(ending: Ending): void {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      clearTimeout(this.#silence);
      this.#listener.ended(this, ending, this.#jobs);
    }
  }

  #count({ chargedMs, order }: Job, sign: 1 | -1): void {
    this.#aheadMs += sign * chargedMs;
    this.#aheadBytes += sign * order.payload.length;
  }

  #endSilence(): void {
    if (!this.#isReady || this.#jobs.length > 0) {
      this.kill();
    }
  }

  /** A process at rest is no reason for the server to stay. */
  #keepAlive(isNeeded: boolean): void {
    const { stdio } = this.#child;
    for (const handle of [this.#child, ...(stdio as (Socket | null)[])]) {
      if (isNeeded) {
        handle?.ref();
      } else {
        handle?.unref();
      }
    }
  }
}

function start(): ChildProcess {
  // Beside this file, and compiled when this one is.
  const file = import.meta.url.endsWith('.ts') ? './program.ts' : './program.js';
  const program = fileURLToPath(new URL(file, import.meta.url));
  const library = createRequire(import.meta.url).resolve('jsonata');
  const readable = [dirname(program), dirname(library)].map((folder) => `--allow-fs-read=${folder}${sep}`);
  const child = spawn(process.execPath, [...FLAGS, ...readable, program], {
    env: {},
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    windowsHide: true,
  });
  if (process.platform === 'linux' && child.pid !== undefined) {
    // Where the machine runs out of memory, this process is the one to go.
    writeFile(`/proc/${child.pid}/oom_score_adj`, '1000', () => undefined);
  }
  return child;
}

function endingOf(verdict: string, code: number | null, signal: string | null): Ending {
  if (verdict === 'time' || verdict === 'memory') {
    return verdict;
  }
  const hasCrashed = signal === null ? code !== 0 : CRASHES.has(signal);
  return hasCrashed ? 'crash' : 'outside';
}
