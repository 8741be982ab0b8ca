/** Completing this many objects takes a few milliseconds, whatever the query selects of them. */
const OBJECTS_PER_STEP = 20;
/** The longest time for steps before the event loop continues. */
const TURN_MS = 5;

interface RequestQueue {
  readonly waiting: (() => void)[];
  /** The number of them that have had their turn. */
  done: number;
  readonly batches: (() => void)[];
}

/**
 * Shares the event loop between requests. GraphQL completes a whole list in one go, even a million fields. Here each
 * object of an answer waits for a turn. Requests take turns, and between them the program does other work.
 */
export class AnswerTurns {
  readonly #queues = new Map<object, RequestQueue>();
  #isScheduled = false;

  /** @param request identifies the request by any object */
  take(request: object): Promise<void> {
    return new Promise((resolve) => {
      this.#queueOf(request).waiting.push(resolve);
    });
  }

  /** Runs the callback after all objects of the request have had their turn. One statement can then load what they need. */
  afterAll(request: object, run: () => void): void {
    this.#queueOf(request).batches.push(run);
  }

  /** Drops the request's objects. Their turns never come. */
  drop(request: object): void {
    this.#queues.delete(request);
  }

  #queueOf(request: object): RequestQueue {
    const queue = this.#queues.get(request) ?? { waiting: [], done: 0, batches: [] };
    this.#queues.set(request, queue);
    this.#schedule();
    return queue;
  }

  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => this.#step(performance.now() + TURN_MS));
    }
  }

  /** @param endsAt when the event loop must continue, by `performance.now()` */
  #step(endsAt: number): void {
    for (const [request, queue] of this.#queues) {
      if (queue.done === queue.waiting.length) {
        this.#queues.delete(request);
        queue.batches.forEach((run) => run());
      }
    }
    this.#release();
    if (this.#queues.size > 0 && performance.now() < endsAt) {
      // The next step comes after all promises that these objects have resolved: ticks run when no microtask is left.
      queueMicrotask(() => process.nextTick(() => this.#step(endsAt)));
      return;
    }
    this.#isScheduled = false;
    if (this.#queues.size > 0) {
      this.#schedule();
    }
  }

  #release(): void {
    // Deleting and setting a key moves the request to the end of the map.
    let left = OBJECTS_PER_STEP;
    for (const [request, queue] of this.#queues) {
      if (left === 0) {
        return;
      }
      if (queue.done < queue.waiting.length) {
        left -= 1;
        queue.waiting[queue.done]?.();
        queue.done += 1;
        this.#queues.delete(request);
        this.#queues.set(request, queue);
      }
    }
  }
}

/** There is one event loop. */
export const ANSWER_TURNS = new AnswerTurns();
