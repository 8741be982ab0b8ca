import { CPU_MS_MAX, REASONS } from './protocol.ts';

/** Asking for the time takes about as long as a step of an expression. */
const STEPS_BETWEEN_CHECKS = 256;

/** Node 22 cannot tell the time of one thread. */
const ofThread: Partial<Pick<NodeJS.Process, 'threadCpuUsage'>> = process;

/** Measures the processor time of the expression that runs. */
export class TransformMeter {
  /** `undefined` while none runs. */
  #startedAtMs: number | undefined;
  #steps = 0;

  start(): void {
    this.#startedAtMs = threadMs();
  }

  /** @returns what the expression has taken */
  stop(): number {
    const takenMs = this.#takenMs();
    this.#startedAtMs = undefined;
    return takenMs;
  }

  /** @throws when the expression is over its time; that costs less than to end the process. */
  step(): void {
    this.#steps += 1;
    if (this.#steps % STEPS_BETWEEN_CHECKS === 0 && this.#takenMs() > CPU_MS_MAX) {
      throw new Error(REASONS.time);
    }
  }

  #takenMs(): number {
    return this.#startedAtMs === undefined ? 0 : threadMs() - this.#startedAtMs;
  }
}

/** The engine's own threads, which still start while the first expressions run, do not count where Node can tell. */
function threadMs(): number {
  const { user, system } = ofThread.threadCpuUsage?.() ?? process.cpuUsage();
  return (user + system) / 1_000;
}

export function processMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
