import type { Timer } from '../core/clock.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { ItemRefusedError } from '../storage/group-commit.ts';

/** How long nothing is claimed after the store has failed. */
export const STORE_PAUSE_MS = 1_000;

/** A store that fails stops the dispatcher for a while; nothing is lost, every lease and every due time stands. */
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
   * @param whenRefused what comes of an item that the store refuses for its own sake; that stops nobody else.
   * @returns `undefined` when the store has failed
   */
  async around<Result>(during: string, work: () => Promise<Result>, whenRefused?: Result): Promise<Result | undefined> {
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
