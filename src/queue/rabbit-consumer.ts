import type { QueueTelemetry } from './delivery-queue.ts';
import { type ConfirmChannel, type ConsumeMessage, NoAnswerError, RabbitConnection } from './rabbit-connection.ts';

/** Messages on their way to this process; each is acknowledged as soon as its tickets are in its memory. */
const PREFETCH = 20;

/**
 * A consumer that hears nothing for this long is put in again, on a new channel. A queue that is deleted and declared
 * again at once costs every consumer its messages without a word: RabbitMQ carries it over to the new queue by
 * itself, and then hands messages over to nobody (3.10).
 */
const SILENCE_MS_MIN = 3_000;
/** Doubled up to this while there is nothing to hear: each time costs the broker two entries in a log. */
const SILENCE_MS_MAX = 10_000;

const UNANSWERED_MAX = 2;

export interface RabbitConsumerOptions {
  readonly url: string;
  readonly queueName: string;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly declare: (channel: ConfirmChannel) => Promise<void>;
  /** What it takes is acknowledged. When it throws, the message goes back to the queue and the connection is replaced. */
  readonly take: (content: Buffer) => void;
}

/** Takes messages, on a connection of its own. Notices when it gets none although it could, and says why it cannot. */
export class RabbitConsumer {
  readonly #options: RabbitConsumerOptions;
  readonly #connection: RabbitConnection;
  #consumerTag: string | undefined;
  /** How often in a row the queue was there, and nobody answered who wanted to consume from it. */
  #unanswered = 0;
  #isAsking = false;
  #isStopped = false;
  #heardAt = 0;
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
        this.#isAsking = true;
        await this.#consume(channel);
        this.#isAsking = false;
        this.#unanswered = 0;
      },
      lost: (error) => this.#lose(error),
    });
  }

  /** Connects in the background. May be called again. */
  start(): void {
    this.#connection.start();
  }

  /** True while the broker hands over what is in the queue. */
  get isConsuming(): boolean {
    return this.#consumerTag !== undefined && !this.#isStopped;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#connection.stop();
  }

  #lose(error: unknown): void {
    clearTimeout(this.#timer);
    this.#consumerTag = undefined;
    if (this.#isAsking) {
      this.#isAsking = false;
      this.#unanswered = error instanceof NoAnswerError ? this.#unanswered + 1 : 0;
    }
  }

  /**
   * RabbitMQ 3.10 may know a quorum queue by name only, when it was killed soon after the first declaration: it
   * declares it, and answers nothing else, for good. The tickets in it are of no use to anyone. A refusal is an answer:
   * the queue serves those who are not refused.
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
    this.#heardAt = performance.now();
    this.#watch(this.#silenceMs);
  }

  /** Acknowledged as soon as it is handed over: the rows in the database are what says that work is left. */
  #take(channel: ConfirmChannel, message: ConsumeMessage): void {
    this.#heardAt = performance.now();
    this.#silenceMs = SILENCE_MS_MIN;
    if (message.fields.redelivered && this.#heardAt - this.#renewedAt < SILENCE_MS_MIN) {
      this.#renewedAt = -Infinity;
      const reason = 'The broker had lost this consumer, and handed nothing over until it was put in again.';
      this.#options.telemetry.queueUnavailable({ use: 'consume', reason });
    }
    this.#options.take(message.content);
    channel.ack(message);
  }

  #watch(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#listen(), afterMs).unref();
  }

  #listen(): void {
    const leftMs = this.#heardAt + this.#silenceMs - performance.now();
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
      // What was handed over before the answer has been acknowledged by then, and does not come twice.
      retire: async (channel) => void (former !== undefined && (await channel.cancel(former))),
    });
  }
}
