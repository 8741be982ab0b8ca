import { setTimeout } from 'node:timers/promises';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { QueueTelemetry, QueueUse } from './delivery-queue.ts';

/** A broker that is frozen, or has no leader for a queue, takes a question and says nothing. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';

  constructor() {
    super('The broker did not answer.');
  }
}

const REASON_MAX = 300;
/** Around what the broker says, amqplib tells which frame it came in. */
const BROKER_SAYS = /with message "(.*)"$/su;

/** @returns one line for whoever runs the broker, in its own words where it said why. */
export function reasonOf(error: unknown): string {
  const { message } = firstOf(error);
  const said = BROKER_SAYS.exec(message)?.[1] ?? message;
  return said.replaceAll(/\s+/gu, ' ').slice(0, REASON_MAX);
}

/** A host with several addresses fails once for each, and says nothing of its own. */
function firstOf(error: unknown): Error {
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  return first instanceof Error ? first : new Error(String(first));
}

export type { ConfirmChannel, ConsumeMessage } from 'amqplib';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** For everything until the connection is of use: a broker that is frozen or has no leader answers nothing. */
const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** A connection that died without a word is noticed after two of these. */
const HEARTBEAT_S = 10;

export interface RabbitConnectionOptions {
  readonly url: string;
  readonly use: QueueUse;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Makes the channel of each new connection ready for use. */
  readonly prepare: (channel: ConfirmChannel) => Promise<void>;
  /** Said also of each attempt that fails. */
  readonly lost?: (error: unknown) => void;
  /** The broker takes nothing that is published: memory or disk run short there. */
  readonly blocked?: (isBlocked: boolean) => void;
}

export interface Renewal {
  readonly prepare: (channel: ConfirmChannel) => Promise<void>;
  /** The last use of the former channel, which is closed after it. */
  readonly retire: (channel: ConfirmChannel) => Promise<void>;
}

/** One connection with one channel. What ends either is followed by a new connection, until `stop`. */
export class RabbitConnection {
  readonly #options: RabbitConnectionOptions;
  readonly #stopping = new AbortController();
  #model: ChannelModel | undefined;
  #channel: ConfirmChannel | undefined;
  /** Aborting it destroys the socket, at once and whatever amqplib waits for. */
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

  /** Gives the connection up for a new one. */
  replace(reason: Error): void {
    this.#socket.abort(reason);
  }

  /** Puts a new channel in the place of the one in use. A renewal that fails ends the connection. */
  async renew({ prepare, retire }: Renewal): Promise<void> {
    const [socket, model, former] = [this.#socket, this.#model, this.#channel];
    if (model === undefined || former === undefined || this.#stopping.signal.aborted) {
      return;
    }
    const timer = endLater(socket);
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

  /** The channel first: a broker that is told to end the connection may forget acknowledgements that came before. */
  async #close(): Promise<void> {
    try {
      await this.#channel?.close();
      await this.#model?.close();
    } catch {
      // What is to be closed has come to an end by itself.
    }
  }

  async #run(): Promise<void> {
    const { telemetry, use, random } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const error = await this.#holdOne();
      if (!signal.aborted) {
        telemetry.queueUnavailable({ use, reason: reasonOf(error) });
        await setTimeout(retryAfterMs(this.#failures, random()), undefined, { signal }).catch(() => {});
        this.#failures += 1;
      }
    }
  }

  #giveUp(channel: ConfirmChannel): void {
    if (this.#channel === channel && !this.#stopping.signal.aborted) {
      this.replace(new Error('The channel was closed.'));
    }
  }

  /** @returns why there is no connection, or none any more. */
  async #holdOne(): Promise<unknown> {
    const socket = new AbortController();
    this.#socket = socket;
    const timer = endLater(socket);
    let error: unknown;
    try {
      const model = await this.#connect(socket.signal);
      const closed = endOf(model);
      this.#model = model;
      await Promise.race([this.#open(model), closed.then(throwIt)]);
      clearTimeout(timer);
      const openedAt = performance.now();
      error = await closed;
      // What ends soon after each opening is no better than what does not open: publishing that is refused, for example.
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
    // The broker closes a channel for an error in its use; there is no use for the connection without it.
    channel.on('error', (error) => this.replace(error));
    channel.on('handler-error', (error) => this.replace(error));
    // Later, because a connection that ends closes its channel first, and knows better why.
    channel.on('close', () => setImmediate(() => this.#giveUp(channel)));
    this.#channel = channel;
    await prepare(channel);
  }
}

/** @returns the timer to clear when the broker has answered. */
function endLater(socket: AbortController): NodeJS.Timeout {
  return globalThis.setTimeout(() => socket.abort(new NoAnswerError()), OPEN_TIMEOUT_MS);
}

/** Also listens to the errors, which end the process where nobody does; "close" follows each of them. */
function endOf(model: ChannelModel): Promise<unknown> {
  return new Promise((resolve) => {
    model.on('error', resolve);
    model.on('handler-error', resolve);
    model.on('close', (error) => resolve(error ?? new Error('The connection was closed.')));
  });
}

function throwIt(error: unknown): never {
  throw error;
}

/** Doubles with each failure; the random half keeps the processes of a fleet apart when their broker returns. */
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
