import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ExchangeOutcome } from '../core/delivery.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Sender } from './http-sender.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import {
  charactersOf,
  MessageBatcher,
  type OutcomeContent,
  type MessageBatch,
  type RequestContent,
  type ThreadOptions,
  AnnouncedDestinations,
  unpack,
} from './sender-messages.ts';

interface SenderPoolOptions extends SenderWorkerOptions {
  readonly threads: number;
}

/** Sends on several threads: got takes far more time than everything else that a delivery needs. */
export class SenderPool implements Sender {
  readonly #workers: readonly SenderWorker[];

  constructor({ threads, ...options }: SenderPoolOptions) {
    this.#workers = Array.from({ length: threads }, () => new SenderWorker(options));
  }

  async send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined> {
    const loads = this.#workers.map(({ load }) => load);
    return this.#workers[route(source.url, loads)]?.send(source, sentAt);
  }

  close(): void {
    for (const worker of this.#workers) {
      worker.close();
    }
  }
}

/** A destination keeps to its thread until that has so many requests more in hand than another. */
const MORE_THAN_ANOTHER_MAX = 4;

/**
 * Which of the senders gets a request, by the loads they carry. One URL's requests go to one sender as long as
 * that is not the busier for it: there they find their connection open, which with TLS costs more than all else.
 */
export function route(url: string, loads: readonly number[]): number {
  const home = hash(originOf(url)) % loads.length;
  const leastBusy = loads.indexOf(Math.min(...loads));
  return (loads[home] ?? 0) > (loads[leastBusy] ?? 0) + MORE_THAN_ANOTHER_MAX ? leastBusy : home;
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

/** A thread that cannot even start must not be started without a breath. */
const RESTART_PAUSE_MS = 1_000;
/** What a thread has to break off what it has under way; then it is ended from outside. */
const CLOSE_MS = 1_000;
/** A leak is to cost one thread and not the process. Bodies are outside of it. */
const HEAP_MB_MAX = 512;

export interface SenderWorkerOptions extends ThreadOptions {
  readonly telemetry: Telemetry;
}

/**
 * A thread that sends, as the main thread sees it. When it dies it is replaced; what it had in hand counts as
 * broken off, because nobody knows what has reached its destination.
 */
export class SenderWorker implements Sender {
  readonly #options: SenderWorkerOptions;
  readonly #underWay = new Map<number, (outcome: ExchangeOutcome | undefined) => void>();
  readonly #closing = new AbortController();
  #batcher = this.#newBatcher();
  #told = new AnnouncedDestinations();
  #worker: Worker | undefined;
  #running = Promise.resolve();
  #lastId = 0;

  constructor(options: SenderWorkerOptions) {
    this.#options = options;
    this.#start();
  }

  /** How many requests it has in hand; without end while there is no thread. */
  get load(): number {
    return this.#worker === undefined ? Number.POSITIVE_INFINITY : this.#underWay.size;
  }

  async send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined> {
    // Without an await where there is a thread: whoever asks for the load next must see this request in it.
    while (this.#worker === undefined && !this.#closing.signal.aborted) {
      await this.#running;
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
      this.#add(source, sentAt);
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
      worker.postMessage('close');
      const timer = setTimeout(() => {
        this.#breakOff();
        void worker.terminate();
      }, CLOSE_MS);
      worker.once('exit', () => clearTimeout(timer));
    }
  }

  #add(source: RequestSource, sentAt: number): void {
    const { deliveryId, hops, payload } = source;
    const destination = this.#told.tell(source);
    this.#batcher.add(
      { id: this.#lastId, content: { destination, deliveryId, hops, sentAt }, body: payload },
      destination.source && charactersOf(destination.source),
    );
  }

  #start(): void {
    // Beside this file, and compiled when this one is.
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
    worker.on('exit', (code) => this.#end(cause ?? new Error(`The thread has ended with code ${code}.`)));
    // Only what is under way keeps the process alive, so that it can end when it fails to start.
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

  #end(cause: unknown): void {
    this.#worker = undefined;
    this.#batcher = this.#newBatcher();
    this.#told = new AnnouncedDestinations();
    if (!this.#closing.signal.aborted) {
      this.#options.telemetry.senderThreadDied({ brokenOff: this.#underWay.size }, cause);
      this.#running = this.#restart();
    }
    this.#breakOff();
  }

  #breakOff(): void {
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
