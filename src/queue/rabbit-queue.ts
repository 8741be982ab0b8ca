import type { Ticket } from '../core/delivery.ts';
import type { Wake } from '../core/notifier.ts';
import type { DeliveryQueue, QueueTelemetry, ReceiveTickets } from './delivery-queue.ts';
import type { ConfirmChannel } from './rabbit-connection.ts';
import { RabbitConsumer } from './rabbit-consumer.ts';
import { RabbitPublisher } from './rabbit-publisher.ts';
import { decodeTickets, UnreadableMessageError } from './ticket-message.ts';

/** How long the sweeper waits for the ticket of a fresh delivery. */
const VISIBILITY_MS = 30_000;

/** These cannot be changed: a broker refuses to declare an existing queue with other arguments. */
const QUEUE_ARGUMENTS = {
  'x-queue-type': 'quorum',
  // A message that kills its receivers must not be redelivered for ever. The sweeper finds its deliveries.
  'x-delivery-limit': 20,
  // After this time the sweeper finds the deliveries. Without a worker, old tickets would fill the broker's disk.
  'x-message-ttl': VISIBILITY_MS,
};

export interface RabbitQueueOptions {
  readonly url: string;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly queueName: string;
  /** Takes the tickets that the broker does not: the queue of processes that share only a database. */
  readonly fallback: DeliveryQueue;
}

/**
 * The queue between processes. Nothing waits for the broker: tickets are published in the background, and those it
 * does not take go to the fallback.
 */
export class RabbitQueue implements DeliveryQueue {
  readonly #telemetry: QueueTelemetry;
  readonly #publisher: RabbitPublisher;
  readonly #consumer: RabbitConsumer;
  readonly #fallback: DeliveryQueue;
  #fallbackPublished: Promise<void> = Promise.resolve();
  #receive: ReceiveTickets | undefined;
  #stopped: Promise<void> | undefined;

  constructor({ url, telemetry, random, queueName, fallback }: RabbitQueueOptions) {
    this.#telemetry = telemetry;
    this.#fallback = fallback;
    let declared: Promise<unknown> = Promise.resolve();
    // One by one: RabbitMQ 3.10 may lose messages published while a second connection declares a new queue.
    const declare = async (channel: ConfirmChannel) => {
      const options = { durable: true, arguments: QUEUE_ARGUMENTS };
      const own = declared.then(() => channel.assertQueue(queueName, options));
      declared = own.catch(() => {});
      await own;
    };
    const refused = (tickets: readonly Ticket[]) => this.#useFallback(tickets);
    this.#publisher = new RabbitPublisher({ url, queueName, telemetry, random, declare, refused });
    const take = (content: Buffer) => this.#take(content);
    this.#consumer = new RabbitConsumer({ url, queueName, telemetry, random, declare, take });
  }

  get isConsuming(): boolean {
    return this.#consumer.isConsuming;
  }

  get visibilityMs(): number {
    return this.isConsuming ? VISIBILITY_MS : 0;
  }

  /** Connects early, so that the first ticket need not wait for the connection. */
  connect(): void {
    this.#publisher.connect();
  }

  async publish(tickets: readonly Ticket[]): Promise<void> {
    if (tickets.length > 0) {
      this.#publisher.publish(tickets);
    }
  }

  /** Resolves before there is a connection, because a process must start without its broker. */
  async subscribe(receive: ReceiveTickets, wake?: Wake): Promise<void> {
    if (this.#stopped === undefined) {
      this.#receive = receive;
      this.#consumer.start();
      await this.#fallback.subscribe(receive, wake);
    }
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
    this.#stopped ??= Promise.all([this.#publisher.stop(), this.#consumer.stop(), this.#fallback.stop()]).then(
      () => {},
    );
    await this.#stopped;
    // Includes tickets published after the stop, by requests that were still being answered.
    await this.#fallbackPublished;
  }

  #useFallback(tickets: readonly Ticket[]): void {
    const before = this.#fallbackPublished;
    this.#fallbackPublished = this.#fallback
      .publish(tickets)
      .catch(() => {})
      .then(() => before);
  }

  /** Drops a message that cannot be read. Otherwise it would be redelivered again and again. */
  #take(content: Buffer): void {
    try {
      this.#receive?.(decodeTickets(content));
    } catch (error) {
      if (!(error instanceof UnreadableMessageError)) {
        throw error;
      }
      this.#telemetry.queueMessageDropped({ reason: error.message });
    }
  }
}
