import { CPU_MS_MAX, REASONS } from './protocol.ts';

/** Asking for the time takes about as long as a step of an expression. */
const STEPS_BETWEEN_CHECKS = 256;

/** Measures the processor time of the expression that runs. */
export class TransformMeter {
  /** `undefined` while none runs. */
  #startedAtMs: number | undefined;
  #steps = 0;

  /** @returns the processor time of the process so far */
  start(): number {
    this.#startedAtMs = processMs();
    return this.#startedAtMs;
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
    return this.#startedAtMs === undefined ? 0 : processMs() - this.#startedAtMs;
  }
}

export function processMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
