/** Objects that are completed at once: a few milliseconds' work, whatever is selected of them. */
const OBJECTS_PER_STEP = 20;
/** How long one step may follow the other before the event loop goes on. */
const TURN_MS = 5;

interface Lane {
  readonly waiting: (() => void)[];
  /** How many of them have had their turn. */
  done: number;
  readonly batches: (() => void)[];
}

/**
 * Shares the event loop between requests. GraphQL completes whatever is there in one go, be it a million fields; here
 * each object of an answer waits for a turn, requests come round one after the other, and between turns the program
 * does everything else.
 */
export class AnswerTurns {
  readonly #lanes = new Map<object, Lane>();
  #isScheduled = false;

  /** @param request whose turn it is: one object for each request */
  take(request: object): Promise<void> {
    return new Promise((resolve) => {
      this.#laneOf(request).waiting.push(resolve);
    });
  }

  /** Runs it when all objects of the request have had their turn: what they look up can then be looked up at once. */
  afterAll(request: object, run: () => void): void {
    this.#laneOf(request).batches.push(run);
  }

  /** Forgets what waits: those turns never come. */
  drop(request: object): void {
    this.#lanes.delete(request);
  }

  #laneOf(request: object): Lane {
    const lane = this.#lanes.get(request) ?? { waiting: [], done: 0, batches: [] };
    this.#lanes.set(request, lane);
    this.#schedule();
    return lane;
  }

  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => this.#step(performance.now() + TURN_MS));
    }
  }

  /** @param endsAt when everybody else is to get a turn, on the clock of `performance.now()` */
  #step(endsAt: number): void {
    for (const [request, lane] of this.#lanes) {
      if (lane.done === lane.waiting.length) {
        this.#lanes.delete(request);
        lane.batches.forEach((run) => run());
      }
    }
    this.#release();
    if (this.#lanes.size > 0 && performance.now() < endsAt) {
      // Behind all that the objects have set off: a tick comes when no promise is left that could go on.
      queueMicrotask(() => process.nextTick(() => this.#step(endsAt)));
      return;
    }
    this.#isScheduled = false;
    if (this.#lanes.size > 0) {
      this.#schedule();
    }
  }

  #release(): void {
    // A lane that is put back comes again at the end of the row.
    let left = OBJECTS_PER_STEP;
    for (const [request, lane] of this.#lanes) {
      if (left === 0) {
        return;
      }
      if (lane.done < lane.waiting.length) {
        left -= 1;
        lane.waiting[lane.done]?.();
        lane.done += 1;
        this.#lanes.delete(request);
        this.#lanes.set(request, lane);
      }
    }
  }
}

/** There is one event loop. */
export const ANSWER_TURNS = new AnswerTurns();
