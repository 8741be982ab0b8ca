import type { QueueTelemetry } from './delivery-queue.ts';
import { type ConfirmChannel, type ConsumeMessage, NoAnswerError, RabbitConnection } from './rabbit-connection.ts';

/** Unacknowledged messages. Each is acknowledged as soon as its tickets are in memory. */
const PREFETCH = 20;

/**
 * After this long without a message, the consumer is renewed on a new channel. If a queue is deleted and declared again
 * at once, RabbitMQ 3.10 moves its consumers to the new queue, but then silently delivers no messages to them.
 */
const SILENCE_MS_MIN = 3_000;
/** The time doubles up to this while no message comes, because each renewal costs the broker two log lines. */
const SILENCE_MS_MAX = 10_000;

const UNANSWERED_MAX = 2;

export interface RabbitConsumerOptions {
  readonly url: string;
  readonly queueName: string;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly declare: (channel: ConfirmChannel) => Promise<void>;
  /** The message is acknowledged when it returns. If it throws, the message is redelivered on a new connection. */
  readonly take: (content: Buffer) => void;
}

/** Consumes messages on a connection of its own, and notices when the broker silently stops delivering them. */
export class RabbitConsumer {
  readonly #options: RabbitConsumerOptions;
  readonly #connection: RabbitConnection;
  #consumerTag: string | undefined;
  /** How many times in a row the queue could be declared but not consumed from. */
  #unanswered = 0;
  #isConsumePending = false;
  #isStopped = false;
  #lastMessageAt = 0;
  #renewedAt = -Infinity;
  #silenceMs = SILENCE_MS_MIN;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RabbitConsumerOptions) {
    this.#options = options;
    this.#connection = new RabbitConnection({
      ...options,
      use: 'consume',
      prepare: async (channel) => {
        await this.#removeIfDead(channel);
        await options.declare(channel);
        this.#isConsumePending = true;
        await this.#consume(channel);
        this.#isConsumePending = false;
        this.#unanswered = 0;
      },
      lost: (error) => this.#onLost(error),
    });
  }

  /** Connects in the background. May be called again. */
  start(): void {
    this.#connection.start();
  }

  /** True while the broker delivers messages. */
  get isConsuming(): boolean {
    return this.#consumerTag !== undefined && !this.#isStopped;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#connection.stop();
  }

  #onLost(error: unknown): void {
    clearTimeout(this.#timer);
    this.#consumerTag = undefined;
    if (this.#isConsumePending) {
      this.#isConsumePending = false;
      this.#unanswered = error instanceof NoAnswerError ? this.#unanswered + 1 : 0;
    }
  }

  /**
   * If RabbitMQ 3.10 is killed soon after it first declared a quorum queue, it may keep only the name: it declares the
   * queue again but never answers anything else about it. Nobody can read its tickets. A refusal does not count,
   * because then the queue works for others.
   */
  async #removeIfDead(channel: ConfirmChannel): Promise<void> {
    if (this.#unanswered >= UNANSWERED_MAX) {
      this.#unanswered = 0;
      await channel.deleteQueue(this.#options.queueName);
    }
  }

  async #consume(channel: ConfirmChannel): Promise<void> {
    await channel.prefetch(PREFETCH);
    const { consumerTag } = await channel.consume(this.#options.queueName, (message) => {
      if (message === null) {
        this.#connection.replace(new Error('The queue was deleted.'));
      } else if (!this.#isStopped) {
        this.#take(channel, message);
      }
    });
    this.#consumerTag = consumerTag;
    this.#lastMessageAt = performance.now();
    this.#watch(this.#silenceMs);
  }

  /** Acknowledges at once, because the database knows which deliveries are left. */
  #take(channel: ConfirmChannel, message: ConsumeMessage): void {
    this.#lastMessageAt = performance.now();
    this.#silenceMs = SILENCE_MS_MIN;
    if (message.fields.redelivered && this.#lastMessageAt - this.#renewedAt < SILENCE_MS_MIN) {
      this.#renewedAt = -Infinity;
      const reason = 'The broker had lost this consumer and delivered nothing until the consumer was renewed.';
      this.#options.telemetry.queueUnavailable({ use: 'consume', reason });
    }
    this.#options.take(message.content);
    channel.ack(message);
  }

  #watch(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#checkSilence(), afterMs).unref();
  }

  #checkSilence(): void {
    const leftMs = this.#lastMessageAt + this.#silenceMs - performance.now();
    if (leftMs > 0) {
      this.#watch(leftMs);
    } else {
      this.#silenceMs = Math.min(SILENCE_MS_MAX, this.#silenceMs * 2);
      void this.#renew();
    }
  }

  async #renew(): Promise<void> {
    const former = this.#consumerTag;
    await this.#connection.renew({
      prepare: async (channel) => {
        this.#renewedAt = performance.now();
        await this.#consume(channel);
      },
      // Messages that arrive before the answer are acknowledged by then, so they are not redelivered.
      retire: async (channel) => void (former !== undefined && (await channel.cancel(former))),
    });
  }
}
