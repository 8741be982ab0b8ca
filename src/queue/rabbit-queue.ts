import type { Ticket } from '../core/delivery.ts';
import type { Wake } from '../core/notifier.ts';
import type { DeliveryQueue, QueueTelemetry, ReceiveTickets } from './delivery-queue.ts';
import type { ConfirmChannel } from './rabbit-connection.ts';
import { RabbitConsumer } from './rabbit-consumer.ts';
import { RabbitPublisher } from './rabbit-publisher.ts';
import { decodeTickets, UnreadableMessageError } from './ticket-message.ts';

/** How long the sweeper leaves a fresh delivery to its ticket. */
const VISIBILITY_MS = 30_000;

/** Arguments are for good: a broker refuses to declare a queue that it has with others. */
const QUEUE_ARGUMENTS = {
  'x-queue-type': 'quorum',
  // A message that ends its receivers must not go round for ever; its deliveries are the sweeper's.
  'x-delivery-limit': 20,
  // By then the sweeper has written others: while no worker runs, they must not fill the broker's disk.
  'x-message-ttl': VISIBILITY_MS,
};

export interface RabbitQueueOptions {
  readonly url: string;
  readonly telemetry: QueueTelemetry;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly queueName: string;
  /** Takes what the broker does not: the queue of processes that share nothing but their database. */
  readonly fallback: DeliveryQueue;
}

/**
 * The queue between processes. Nothing waits for the broker: tickets go out in the background, and what it
 * does not take goes by the database.
 */
export class RabbitQueue implements DeliveryQueue {
  readonly #telemetry: QueueTelemetry;
  readonly #publisher: RabbitPublisher;
  readonly #consumer: RabbitConsumer;
  readonly #fallback: DeliveryQueue;
  #aroundTheBroker: Promise<void> = Promise.resolve();
  #receive: ReceiveTickets | undefined;
  #stopped: Promise<void> | undefined;

  constructor({ url, telemetry, random, queueName, fallback }: RabbitQueueOptions) {
    this.#telemetry = telemetry;
    this.#fallback = fallback;
    let declared: Promise<unknown> = Promise.resolve();
    // One after the other: RabbitMQ 3.10 may lose what is published while a second connection declares a new queue.
    const declare = async (channel: ConfirmChannel) => {
      const options = { durable: true, arguments: QUEUE_ARGUMENTS };
      const own = declared.then(() => channel.assertQueue(queueName, options));
      declared = own.catch(() => {});
      await own;
    };
    const refused = (tickets: readonly Ticket[]) => this.#goAround(tickets);
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

  /** For a process that is going to publish: its first ticket need not wait for the connection. */
  connect(): void {
    this.#publisher.connect();
  }

  async publish(tickets: readonly Ticket[]): Promise<void> {
    if (tickets.length > 0) {
      this.#publisher.publish(tickets);
    }
  }

  /** Resolves before there is a connection: a process starts without its broker. */
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
    // Also what was published after the stop, by requests that were still being answered.
    await this.#aroundTheBroker;
  }

  #goAround(tickets: readonly Ticket[]): void {
    const before = this.#aroundTheBroker;
    this.#aroundTheBroker = this.#fallback
      .publish(tickets)
      .catch(() => {})
      .then(() => before);
  }

  /** A message that nobody understands is as good as taken: it would otherwise come again and again. */
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
