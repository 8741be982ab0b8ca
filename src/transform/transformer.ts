import { DomainError } from '../core/errors.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { type Ending, TransformProcess } from './process.ts';
import { type Answer, CPU_MS_MAX, type Order, PAYLOAD_BYTES_MAX, REASONS } from './protocol.ts';
import { type Job, type Lane, TransformTurns } from './turns.ts';

export const EXPRESSION_BYTES_MAX = 8 * 1024;

/** But for those that lay out a text. */
const CONTROL_CHARACTER = /[^\P{Cc}\t\n\r]/u;

/**
 * What a process has ahead: little enough to be soon through, and enough not to wait for this thread after each job. One
 * that takes longer by itself is slow, and only one process at a time runs slow ones.
 */
const AHEAD_MS_MAX = 20;
const AHEAD_JOBS_MAX = 64;
const AHEAD_BYTES_MAX = 1_048_576;
const PROCESSES_MAX = 2;
/** After so much waiting behind one job the others get a process of their own. */
const SECOND_PROCESS_AFTER_MS = 25;
/** What an expression is charged that cost its process: its own time, and that of the next start. */
const ENDED_COST_MS = 150;
/** A process that cannot even start must not be started without a breath. */
const RESTART_PAUSE_MS = 1_000;
const FAILED_STARTS_MAX = 3;
const INTERRUPTIONS_MAX = 3;
const IDLE_MS_MAX = 5 * 60_000;

export type Transformed = { readonly body: Buffer } | { readonly failure: string };

export interface Transformation {
  readonly accountId: string;
  readonly destinationId: string;
  readonly expression: string;
  readonly payload: Buffer;
}

export interface TransformerOptions {
  readonly telemetry: Telemetry;
  /** A process without work ends after that. */
  readonly idleMs?: number;
}

/**
 * Runs users' expressions on payloads, in processes of their own: an endless one ends with its process, and so does one
 * that uses up the memory. There is no process until the first one is needed, and one until somebody has to wait
 * behind a slow expression.
 */
export class Transformer {
  readonly #telemetry: Telemetry;
  readonly #idleMs: number;
  readonly #turns = new TransformTurns();
  /** Those that live, and when they rest, what ends them. */
  readonly #processes = new Map<TransformProcess, NodeJS.Timeout | undefined>();
  #pause: NodeJS.Timeout | undefined;
  #second: NodeJS.Timeout | undefined;
  #failedStarts = 0;
  #isClosed = false;

  constructor({ telemetry, idleMs = IDLE_MS_MAX }: TransformerOptions) {
    this.#telemetry = telemetry;
    this.#idleMs = idleMs;
  }

  /**
   * @returns `undefined` when the transformer is closed meanwhile
   * @throws when no process can be started, or somebody keeps ending them: nothing is wrong with the expression
   */
  async transform(transformation: Transformation): Promise<Transformed | undefined> {
    const { accountId, destinationId, expression, payload } = transformation;
    if (payload.length > PAYLOAD_BYTES_MAX) {
      return { failure: `A payload of more than ${PAYLOAD_BYTES_MAX} bytes cannot be transformed.` };
    }
    return this.#run(destinationId, { kind: 'transform', accountId, expression, payload });
  }

  /**
   * Checks what a user sets.
   *
   * @throws a DomainError that says what is wrong, and where
   */
  async parse(accountId: string, expression: string): Promise<void> {
    if (Buffer.byteLength(expression) > EXPRESSION_BYTES_MAX) {
      throw DomainError.badInput('transform', `The transformation has at most ${EXPRESSION_BYTES_MAX} bytes.`);
    }
    if (!expression.isWellFormed() || CONTROL_CHARACTER.test(expression)) {
      throw DomainError.badInput('transform', 'The transformation must be Unicode text without control characters.');
    }
    const result = await this.#run('parse', { kind: 'parse', accountId, expression, payload: Buffer.alloc(0) });
    if (result === undefined) {
      throw new Error('The server is stopping.');
    }
    if ('failure' in result) {
      throw DomainError.badInput('transform', `The transformation is no JSONata expression: ${result.failure}`);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#second);
    for (const job of this.#turns.clear()) {
      job.resolve(undefined);
    }
    for (const [process, rest] of this.#processes) {
      clearTimeout(rest);
      process.kill();
    }
  }

  #run(laneId: string, order: Order): Promise<Transformed | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        resolve(undefined);
        return;
      }
      const lane = this.#turns.lane(order.accountId, laneId);
      this.#turns.add({ order, lane, resolve, reject, chargedMs: 0, interruptions: 0 });
      this.#serve();
    });
  }

  #serve(): void {
    for (const process of this.#processes.keys()) {
      this.#fill(process);
    }
    const mayStart = this.#turns.size > 0 && this.#pause === undefined;
    if (mayStart && this.#processes.size === 0) {
      this.#start();
    }
    if (mayStart && this.#processes.size < PROCESSES_MAX && this.#areReady()) {
      this.#second ??= setTimeout(() => this.#start(), SECOND_PROCESS_AFTER_MS).unref();
    } else {
      clearTimeout(this.#second);
      this.#second = undefined;
    }
  }

  #areReady(): boolean {
    return [...this.#processes.keys()].every(({ isReady }) => isReady);
  }

  #fill(process: TransformProcess): void {
    if (!process.isReady) {
      return;
    }
    const fits = (lane: Lane): boolean => this.#fits(process, lane);
    for (let job = this.#turns.next(fits); job !== undefined; job = this.#turns.next(fits)) {
      process.send(job);
    }
    const rest = this.#processes.get(process);
    if (process.jobs.length > 0) {
      clearTimeout(rest);
      this.#processes.set(process, undefined);
    } else {
      this.#processes.set(process, rest ?? setTimeout(() => this.#rest(process), this.#idleMs).unref());
    }
  }

  #fits(process: TransformProcess, { expectedMs, jobs: [next] }: Lane): boolean {
    const { jobs, aheadMs, aheadBytes } = process;
    if (expectedMs > AHEAD_MS_MAX) {
      // One that was over its time is likely to cost its process: there must be another for everybody else.
      const others = [...this.#processes.keys()].filter((other) => other !== process);
      const hasOther = expectedMs <= CPU_MS_MAX || others.some(({ isReady }) => isReady);
      return jobs.length === 0 && hasOther && !others.some((other) => other.jobs.some(isSlow));
    }
    return (
      jobs.length === 0 ||
      (jobs.length < AHEAD_JOBS_MAX &&
        aheadMs + expectedMs <= AHEAD_MS_MAX &&
        aheadBytes + (next?.order.payload.length ?? 0) <= AHEAD_BYTES_MAX)
    );
  }

  #start(): void {
    clearTimeout(this.#second);
    this.#second = undefined;
    try {
      const process = new TransformProcess({
        ready: () => {
          this.#failedStarts = 0;
          this.#serve();
        },
        answered: (job, answer) => this.#answer(job, answer),
        ended: (ended, ending, unanswered) => this.#end(ended, ending, unanswered),
      });
      this.#processes.set(process, undefined);
    } catch (error) {
      this.#startLater(error);
    }
  }

  #rest(process: TransformProcess): void {
    this.#processes.delete(process);
    process.end();
  }

  #answer(job: Job, { isFailure, cpuMs, body }: Answer): void {
    this.#turns.settle(job, cpuMs);
    job.resolve(isFailure ? { failure: body.toString() } : { body });
    this.#serve();
  }

  #end(process: TransformProcess, ending: Ending, unanswered: readonly Job[]): void {
    clearTimeout(this.#processes.get(process));
    this.#processes.delete(process);
    if (this.#isClosed) {
      unanswered.forEach((job) => job.resolve(undefined));
      return;
    }
    const [running, ...others] = unanswered;
    others.toReversed().forEach((job) => this.#turns.putBack(job));
    if (!process.isReady) {
      this.#startLater(new Error('A process that transforms has ended before it began.'));
      return;
    }
    if (running !== undefined) {
      this.#judge(running, ending);
      // Its successor is to be there before it is needed.
      this.#start();
    }
    this.#serve();
  }

  #judge(job: Job, ending: Ending): void {
    if (ending !== 'outside') {
      this.#turns.settle(job, ENDED_COST_MS);
      this.#telemetry.transformationEnded({
        accountId: job.order.accountId,
        destinationId: job.lane.id,
        reason: ending,
      });
      job.resolve({ failure: REASONS[ending] });
      return;
    }
    job.interruptions += 1;
    if (job.interruptions < INTERRUPTIONS_MAX) {
      this.#turns.putBack(job);
    } else {
      this.#turns.settle(job, 0);
      const error = new Error('The process that transforms was ended from outside, again and again.');
      this.#telemetry.unexpectedError('transform', error);
      job.reject(error);
    }
  }

  #startLater(cause: unknown): void {
    this.#failedStarts += 1;
    const error = new Error('No process for transformations can be started.', { cause });
    this.#telemetry.unexpectedError('transform', error);
    if (this.#failedStarts >= FAILED_STARTS_MAX) {
      this.#turns.clear().forEach((job) => job.reject(error));
    }
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined;
      this.#serve();
    }, RESTART_PAUSE_MS);
  }
}

function isSlow({ chargedMs }: Job): boolean {
  return chargedMs > AHEAD_MS_MAX;
}
