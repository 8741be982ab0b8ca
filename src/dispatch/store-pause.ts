import type { Timer } from '../core/clock.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { ItemRefusedError } from '../storage/group-commit.ts';

/** How long nothing is claimed after the store has failed. */
export const STORE_PAUSE_MS = 1_000;

/** Keeps the dispatcher from calling a store that has just failed, which would only add load and log lines. */
export class StorePause {
  readonly #telemetry: Telemetry;
  readonly #timer: Timer;
  #until = Number.NEGATIVE_INFINITY;

  constructor(telemetry: Telemetry, timer: Timer) {
    this.#telemetry = telemetry;
    this.#timer = timer;
  }

  get isOn(): boolean {
    return this.#timer.now() < this.#until;
  }

  /**
   * Runs work that needs the store, and starts the pause when it fails.
   *
   * @param whenRefused the result when the store works but refuses this one item. That starts no pause.
   * @returns `undefined` when the store failed
   */
  async run<Result>(during: string, work: () => Promise<Result>, whenRefused?: Result): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ItemRefusedError) {
        this.#telemetry.unexpectedError(during, error);
        return whenRefused;
      }
      if (!this.isOn) {
        this.#telemetry.storageFailed(during, error);
        this.#until = this.#timer.now() + STORE_PAUSE_MS;
      }
      return undefined;
    }
  }
}
