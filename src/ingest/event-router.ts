import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { HttpError } from '../access/http-error.ts';
import {
  type AccountRoutes,
  type FanOut,
  type RoutableEvent,
  type RoutedEvent,
  type StoredRoutes,
} from '../core/account-routes.ts';

/** What the thread is told. */
export interface RoutingOrder {
  readonly routes: StoredRoutes;
  readonly type: string | null;
  readonly payload: Uint8Array<ArrayBuffer | SharedArrayBuffer>;
}

/** What it answers. */
export type RoutingAnswer = { readonly type: string | null; readonly fanOut: FanOut } | { readonly message: string };

/** The work of one turn of the event loop; a single event may take longer. */
const TURN_MS = 5;
/** Far more than a batch with common filters takes. */
const BATCH_MS_MAX = 10_000;

interface Job {
  readonly order: RoutingOrder;
  readonly resolve: (routed: RoutedEvent) => void;
  readonly reject: (cause: Error) => void;
}

/**
 * Decides where events go. A large payload, or a payload with many rules, would block the event loop: those are handed to
 * a thread, one at a time, because the values of a parsed payload take many times its bytes. Accounts take turns there.
 */
export class EventRouter {
  /** By account, in the order of their turns. */
  readonly #waiting = new Map<string, Job[]>();
  #current: Job | undefined;
  #worker: Worker | undefined;
  #isStopped = false;

  /** @throws Error when the thread has died or is stopped */
  route(routes: AccountRoutes, event: RoutableEvent): RoutedEvent | Promise<RoutedEvent> {
    return routes.isLongWork(event) ? this.#routeInThread(routes.stored, event) : routes.route(event);
  }

  /**
   * Events that come together are routed in turns, so that all of them together do not block the event loop either.
   *
   * @throws HttpError 413 when it takes too long: their bodies hold memory that others wait for
   */
  async routeAll(routes: AccountRoutes, events: readonly RoutableEvent[]): Promise<RoutedEvent[]> {
    const routed: RoutedEvent[] = [];
    const startedAt = performance.now();
    let turnEndsAt = startedAt + TURN_MS;
    for (const event of events) {
      routed.push(await this.route(routes, event));
      const now = performance.now();
      if (now > startedAt + BATCH_MS_MAX) {
        throw HttpError.routingTooLong();
      }
      if (now > turnEndsAt) {
        await nextTurn();
        turnEndsAt = performance.now() + TURN_MS;
      }
    }
    return routed;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#worker?.terminate();
  }

  #routeInThread(routes: StoredRoutes, { type, payload }: RoutableEvent): Promise<RoutedEvent> {
    return new Promise((resolve, reject) => {
      const job = { order: { routes, type, payload: movable(payload) }, resolve, reject };
      const jobs = this.#waiting.get(routes.accountId);
      if (jobs === undefined) {
        this.#waiting.set(routes.accountId, [job]);
      } else {
        jobs.push(job);
      }
      this.#next();
    });
  }

  #next(): void {
    const [turn] = this.#waiting;
    if (this.#current !== undefined || turn === undefined) {
      return;
    }
    const [accountId, jobs] = turn;
    const [job, ...others] = jobs;
    this.#waiting.delete(accountId);
    if (others.length > 0) {
      this.#waiting.set(accountId, others);
    }
    if (job !== undefined) {
      this.#start(job);
    }
  }

  #start(job: Job): void {
    if (this.#isStopped) {
      job.reject(new Error('The thread that routes events is stopped.'));
      this.#next();
      return;
    }
    this.#current = job;
    this.#worker ??= this.#startThread();
    this.#worker.ref();
    const { buffer } = job.order.payload;
    this.#worker.postMessage(job.order, buffer instanceof ArrayBuffer ? [buffer] : []);
  }

  #startThread(): Worker {
    // Beside this file, and compiled when this one is.
    const file = import.meta.url.endsWith('.ts') ? './routing-thread.ts' : './routing-thread.js';
    const worker = new Worker(new URL(file, import.meta.url));
    let cause: unknown;
    worker.on('message', (answer: RoutingAnswer) =>
      this.#settle((job) =>
        'message' in answer ? job.reject(new Error(`Routing has failed: ${answer.message}`)) : job.resolve(answer),
      ),
    );
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#settle((job) => job.reject(new Error('The thread that routes events has died.', { cause })));
    });
    return worker;
  }

  #settle(settle: (job: Job) => void): void {
    const job = this.#current;
    this.#current = undefined;
    this.#worker?.unref();
    if (job !== undefined) {
      settle(job);
    }
    this.#next();
  }
}

/** Large bodies are in memory that all threads see. Others are copied: they share Node's pool with other Buffers. */
function movable(payload: Buffer): Uint8Array<ArrayBuffer | SharedArrayBuffer> {
  return payload.buffer instanceof SharedArrayBuffer
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.length)
    : Uint8Array.from(payload);
}
