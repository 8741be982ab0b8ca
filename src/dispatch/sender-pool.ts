import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ExchangeOutcome } from '../core/delivery.ts';
import { charactersOf, type RequestSource } from '../core/outgoing-request.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { Sender } from './http-sender.ts';
import {
  AnnouncedDestinations,
  type MessageBatch,
  MessageBatcher,
  type OutcomeContent,
  type RequestContent,
  type ThreadOptions,
  type ToThread,
  unpack,
} from './sender-messages.ts';

interface SenderWorkerOptions extends ThreadOptions {
  readonly telemetry: Telemetry;
}

interface SenderPoolOptions extends SenderWorkerOptions {
  readonly threads: number;
}

/** Sends on several threads, because got takes far more time than everything else about a delivery. */
export class SenderPool implements Sender {
  readonly #workers: readonly SenderWorker[];

  constructor({ threads, ...options }: SenderPoolOptions) {
    this.#workers = Array.from({ length: threads }, () => new SenderWorker(options));
  }

  async send(source: RequestSource, sentAt: number, timeoutMs?: number): Promise<ExchangeOutcome | undefined> {
    const loads = this.#workers.map(({ load }) => load);
    return this.#workers[route(source.url, loads)]?.send(source, sentAt, timeoutMs);
  }

  close(): void {
    for (const worker of this.#workers) {
      worker.close();
    }
  }
}

/** A destination stays with its thread until that has this many requests more under way than another. */
const IMBALANCE_MAX = 4;

/**
 * Selects the thread for a request by the loads of all threads. Requests to the same origin prefer the same thread,
 * where they find an open connection; a new one with TLS costs more than everything else.
 */
export function route(url: string, loads: readonly number[]): number {
  const home = hash(originOf(url)) % loads.length;
  const leastBusy = loads.indexOf(Math.min(...loads));
  return (loads[home] ?? 0) > (loads[leastBusy] ?? 0) + IMBALANCE_MAX ? leastBusy : home;
}

function originOf(url: string): string {
  const end = url.indexOf('/', url.indexOf('://') + 3);
  return end === -1 ? url : url.slice(0, end);
}

function hash(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    value = (Math.imul(value, 31) + text.charCodeAt(at)) >>> 0;
  }
  return value;
}

/** Keeps a thread that cannot start from being restarted in a tight loop. */
const RESTART_PAUSE_MS = 1_000;
/** The time a thread has to abort its requests before it is terminated. */
const CLOSE_MS = 1_000;
/** A leak must cost one thread and not the process. Bodies are not on this heap. */
const HEAP_MB_MAX = 512;

/**
 * The main thread's side of a sender thread. A thread that dies is replaced. Its requests count as aborted, because
 * nobody knows what has reached the destinations.
 */
class SenderWorker implements Sender {
  readonly #options: SenderWorkerOptions;
  readonly #underWay = new Map<number, (outcome: ExchangeOutcome | undefined) => void>();
  readonly #closing = new AbortController();
  #batcher = this.#newBatcher();
  #destinations = new AnnouncedDestinations();
  #worker: Worker | undefined;
  #restarting = Promise.resolve();
  #lastId = 0;

  constructor(options: SenderWorkerOptions) {
    this.#options = options;
    this.#start();
  }

  /** The number of requests under way; infinite while there is no thread. */
  get load(): number {
    return this.#worker === undefined ? Number.POSITIVE_INFINITY : this.#underWay.size;
  }

  async send(source: RequestSource, sentAt: number, timeoutMs?: number): Promise<ExchangeOutcome | undefined> {
    // Without an await while there is a thread, so that the next reader of `load` sees this request in it.
    while (this.#worker === undefined && !this.#closing.signal.aborted) {
      await this.#restarting;
    }
    if (this.#closing.signal.aborted) {
      return undefined;
    }
    return new Promise((resolve) => {
      if (this.#underWay.size === 0) {
        this.#worker?.ref();
      }
      this.#lastId += 1;
      this.#underWay.set(this.#lastId, resolve);
      this.#post(this.#lastId, source, { sentAt, timeoutMs });
    });
  }

  close(): void {
    if (this.#closing.signal.aborted) {
      return;
    }
    this.#closing.abort();
    this.#batcher.flush();
    const worker = this.#worker;
    if (worker !== undefined) {
      worker.postMessage('close' satisfies ToThread);
      const timer = setTimeout(() => {
        this.#abortAll();
        void worker.terminate();
      }, CLOSE_MS);
      worker.once('exit', () => clearTimeout(timer));
    }
  }

  #post(id: number, source: RequestSource, times: Pick<RequestContent, 'sentAt' | 'timeoutMs'>): void {
    const { deliveryId, eventId, eventType, attempt, hops, payload } = source;
    const destination = this.#destinations.announce(source);
    this.#batcher.add(
      { id, content: { destination, deliveryId, eventId, eventType, attempt, hops, ...times }, body: payload },
      destination.source && charactersOf(destination.source),
    );
  }

  #start(): void {
    // Next to this file, and compiled if this one is.
    const file = import.meta.url.endsWith('.ts') ? './sender-thread.ts' : './sender-thread.js';
    const { userAgent, timeoutMs, egress } = this.#options;
    const workerData: ThreadOptions = { userAgent, timeoutMs, egress };
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
    });
    let cause: unknown;
    worker.on('message', (batch: MessageBatch<OutcomeContent>) => this.#settle(batch));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => this.#onExit(cause ?? new Error(`The thread has ended with code ${code}.`)));
    // Only requests under way keep the process alive, so that it can end if its start fails.
    worker.unref();
    this.#worker = worker;
  }

  #settle(batch: MessageBatch<OutcomeContent>): void {
    for (const { id, content, body } of unpack(batch)) {
      this.#underWay.get(id)?.(content && { ...content, responseBody: body ?? null });
      this.#underWay.delete(id);
    }
    if (this.#underWay.size === 0) {
      this.#worker?.unref();
    }
  }

  #onExit(cause: unknown): void {
    this.#worker = undefined;
    this.#batcher = this.#newBatcher();
    this.#destinations = new AnnouncedDestinations();
    if (!this.#closing.signal.aborted) {
      this.#options.telemetry.senderThreadDied({ brokenOff: this.#underWay.size }, cause);
      this.#restarting = this.#restart();
    }
    this.#abortAll();
  }

  #abortAll(): void {
    for (const settle of this.#underWay.values()) {
      settle(undefined);
    }
    this.#underWay.clear();
  }

  async #restart(): Promise<void> {
    try {
      await wait(RESTART_PAUSE_MS, undefined, { signal: this.#closing.signal });
    } catch {
      return; // Closed meanwhile.
    }
    this.#start();
  }

  #newBatcher(): MessageBatcher<RequestContent> {
    return new MessageBatcher((batch, transfer) => this.#worker?.postMessage(batch, transfer));
  }
}
