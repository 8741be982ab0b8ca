import { setTimeout } from 'node:timers/promises';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { QueueTelemetry, QueueUse } from './delivery-queue.ts';

/** A broker that is frozen, or has no leader for a queue, accepts a request and never answers. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';

  constructor() {
    super('The broker did not answer.');
  }
}

const REASON_MAX = 300;
/** amqplib wraps the broker's message in a description of the frame. */
const BROKER_MESSAGE = /with message "(.*)"$/su;

/** @returns one line for the operator, with the broker's own message if there is one */
export function reasonOf(error: unknown): string {
  const { message } = firstOf(error);
  const text = BROKER_MESSAGE.exec(message)?.[1] ?? message;
  return text.replaceAll(/\s+/gu, ' ').slice(0, REASON_MAX);
}

/** For a host with several addresses, the error contains one error per address and no message. */
function firstOf(error: unknown): Error {
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  return first instanceof Error ? first : new Error(String(first));
}

export type { ConfirmChannel, ConsumeMessage } from 'amqplib';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** For all steps until the connection can be used, because a frozen broker never answers. */
const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** A dead connection is noticed after two of these. */
const HEARTBEAT_S = 10;

export interface RabbitConnectionOptions {
  readonly url: string;
  readonly use: QueueUse;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Prepares the channel of each new connection. */
  readonly prepare: (channel: ConfirmChannel) => Promise<void>;
  /** Also called for each failed attempt to connect. */
  readonly lost?: (error: unknown) => void;
  /** Called when the broker stops or resumes taking messages, because it runs short of memory or disk. */
  readonly blocked?: (isBlocked: boolean) => void;
}

export interface Renewal {
  readonly prepare: (channel: ConfirmChannel) => Promise<void>;
  /** Uses the former channel for the last time, before it is closed. */
  readonly retire: (channel: ConfirmChannel) => Promise<void>;
}

/** One connection with one channel. When either ends, a new connection replaces it, until `stop`. */
export class RabbitConnection {
  readonly #options: RabbitConnectionOptions;
  readonly #stopping = new AbortController();
  #model: ChannelModel | undefined;
  #channel: ConfirmChannel | undefined;
  /** Aborting it destroys the socket at once, regardless of what amqplib waits for. */
  #socket = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;

  constructor(options: RabbitConnectionOptions) {
    this.#options = options;
  }

  /** Connects in the background. May be called again. */
  start(): void {
    if (!this.#stopping.signal.aborted) {
      this.#running ??= this.#run();
    }
  }

  /** Replaces the connection with a new one. */
  replace(reason: Error): void {
    this.#socket.abort(reason);
  }

  /** Replaces the channel with a new one. If that fails, the connection ends. */
  async renew({ prepare, retire }: Renewal): Promise<void> {
    const [socket, model, former] = [this.#socket, this.#model, this.#channel];
    if (model === undefined || former === undefined || this.#stopping.signal.aborted) {
      return;
    }
    const timer = abortLater(socket);
    try {
      await this.#openChannel(model, prepare);
      await retire(former);
      await former.close();
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        socket.abort(error);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const inTime = setTimeout(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    await Promise.race([this.#close(), inTime]);
    this.#socket.abort();
    await this.#running;
  }

  /** Closes the channel first, because a broker may lose earlier acknowledgements when a connection is closed. */
  async #close(): Promise<void> {
    try {
      await this.#channel?.close();
      await this.#model?.close();
    } catch {
      // It has already ended by itself.
    }
  }

  async #run(): Promise<void> {
    const { telemetry, use, random } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const error = await this.#connectOnce();
      if (!signal.aborted) {
        telemetry.queueUnavailable({ use, reason: reasonOf(error) });
        await setTimeout(retryAfterMs(this.#failures, random()), undefined, { signal }).catch(() => {});
        this.#failures += 1;
      }
    }
  }

  #onChannelClosed(channel: ConfirmChannel): void {
    if (this.#channel === channel && !this.#stopping.signal.aborted) {
      this.replace(new Error('The channel was closed.'));
    }
  }

  /** @returns why the connection failed or ended */
  async #connectOnce(): Promise<unknown> {
    const socket = new AbortController();
    this.#socket = socket;
    const timer = abortLater(socket);
    let error: unknown;
    try {
      const model = await this.#connect(socket.signal);
      const closed = endOf(model);
      this.#model = model;
      await Promise.race([this.#open(model), closed.then(rethrow)]);
      clearTimeout(timer);
      const openedAt = performance.now();
      error = await closed;
      // A connection that ends soon after opening counts as a failure: publishing may be refused, for example.
      if (performance.now() - openedAt > RETRY_MS_MAX) {
        this.#failures = 0;
      }
    } catch (cause) {
      error = cause;
    }
    clearTimeout(timer);
    const reason: unknown = socket.signal.aborted ? socket.signal.reason : error;
    socket.abort();
    this.#model = undefined;
    this.#channel = undefined;
    this.#options.lost?.(reason);
    return reason;
  }

  async #connect(signal: AbortSignal): Promise<ChannelModel> {
    const { url, use } = this.#options;
    const options = {
      timeout: OPEN_TIMEOUT_MS,
      noDelay: true,
      clientProperties: { connection_name: `data-pusher ${use}` },
      signal,
    };
    return connect(withHeartbeat(url), options);
  }

  async #open(model: ChannelModel): Promise<void> {
    const { prepare, blocked, telemetry, use } = this.#options;
    model.on('blocked', () => blocked?.(true));
    model.on('unblocked', () => blocked?.(false));
    blocked?.(false);
    await this.#openChannel(model, prepare);
    telemetry.queueConnected({ use });
  }

  async #openChannel(model: ChannelModel, prepare: Renewal['prepare']): Promise<void> {
    const channel = await model.createConfirmChannel();
    // The broker closes a channel after an error. The connection is useless without it.
    channel.on('error', (error) => this.replace(error));
    channel.on('handler-error', (error) => this.replace(error));
    // Deferred, because a connection that ends closes its channel first, and its error has the better reason.
    channel.on('close', () => setImmediate(() => this.#onChannelClosed(channel)));
    this.#channel = channel;
    await prepare(channel);
  }
}

/** @returns a timer to clear when the broker has answered */
function abortLater(socket: AbortController): NodeJS.Timeout {
  return globalThis.setTimeout(() => socket.abort(new NoAnswerError()), OPEN_TIMEOUT_MS);
}

/** Also listens for errors, which would end the process otherwise. "close" follows each of them. */
function endOf(model: ChannelModel): Promise<unknown> {
  return new Promise((resolve) => {
    model.on('error', resolve);
    model.on('handler-error', resolve);
    model.on('close', (error) => resolve(error ?? new Error('The connection was closed.')));
  });
}

function rethrow(error: unknown): never {
  throw error;
}

/** Doubles with each failure. The random half spreads the processes of a fleet when their broker returns. */
function retryAfterMs(failures: number, random: number): number {
  const bound = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 16));
  return bound / 2 + (bound / 2) * random;
}

function withHeartbeat(url: string): string {
  const target = new URL(url);
  if (!target.searchParams.has('heartbeat')) {
    target.searchParams.set('heartbeat', String(HEARTBEAT_S));
  }
  return target.href;
}
