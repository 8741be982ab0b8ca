import type { Ticket } from '../core/ticket.ts';
import type { DeliveryQueue, ReceiveTickets } from './delivery-queue.ts';
import type { QueueFacts } from './queue-facts.ts';
import { type ConfirmChannel, type ConsumeMessage, RabbitConnection } from './rabbit-connection.ts';
import { RabbitPublisher } from './rabbit-publisher.ts';
import { decodeTickets, UnreadableMessageError } from './ticket-message.ts';

/** Messages on their way to this process; each is acknowledged as soon as its tickets are in its memory. */
const PREFETCH = 20;

/** Arguments are for good: a broker refuses to declare a queue that it has with others. */
const QUEUE_ARGUMENTS = {
  'x-queue-type': 'quorum',
  // A message that ends its receivers must not go round for ever; its deliveries are the sweeper's.
  'x-delivery-limit': 20,
  // While no worker runs, the oldest tickets give way before the broker's memory does.
  'x-max-length': 100_000,
};

export interface RabbitQueueOptions {
  readonly url: string;
  readonly facts: QueueFacts;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly queueName: string;
}

/**
 * The queue between processes. Nothing waits for the broker: tickets go out in the background, and while it is
 * away some are kept for a moment and the rest is left to the sweeper.
 */
export class RabbitQueue implements DeliveryQueue {
  readonly visibilityMs = 30_000;
  readonly #facts: QueueFacts;
  readonly #queueName: string;
  readonly #publisher: RabbitPublisher;
  readonly #consumer: RabbitConnection;
  #receive: ReceiveTickets | undefined;
  #stopped: Promise<void> | undefined;

  constructor({ url, facts, random, queueName }: RabbitQueueOptions) {
    this.#facts = facts;
    this.#queueName = queueName;
    let declared: Promise<unknown> = Promise.resolve();
    // One after the other: RabbitMQ 3.10 may lose what is published while a second connection declares a new queue.
    const declare = async (channel: ConfirmChannel) => {
      const options = { durable: true, arguments: QUEUE_ARGUMENTS };
      const own = declared.then(() => channel.assertQueue(queueName, options));
      declared = own.catch(() => {});
      await own;
    };
    this.#publisher = new RabbitPublisher({ url, queueName, facts, random, declare });
    this.#consumer = new RabbitConnection({
      url,
      use: 'consume',
      facts,
      random,
      prepare: async (channel) => {
        await declare(channel);
        await this.#consume(channel);
      },
    });
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
  async subscribe(receive: ReceiveTickets): Promise<void> {
    if (this.#stopped === undefined) {
      this.#receive = receive;
      this.#consumer.start();
    }
  }

  async stop(): Promise<void> {
    this.#receive = undefined;
    this.#stopped ??= Promise.all([this.#publisher.stop(), this.#consumer.stop()]).then(() => {});
    await this.#stopped;
  }

  async #consume(channel: ConfirmChannel): Promise<void> {
    await channel.prefetch(PREFETCH);
    await channel.consume(this.#queueName, (message) => {
      if (message === null) {
        this.#consumer.replace(new Error('The queue was deleted.'));
      } else {
        this.#take(channel, message);
      }
    });
  }

  /** Acknowledged as soon as it is handed over: the rows in the database are what says that work is left. */
  #take(channel: ConfirmChannel, message: ConsumeMessage): void {
    if (this.#receive === undefined) {
      return;
    }
    try {
      this.#receive(decodeTickets(message.content));
    } catch (error) {
      if (!(error instanceof UnreadableMessageError)) {
        throw error;
      }
      this.#facts.queueMessageDropped({ reason: error.message });
    }
    channel.ack(message);
  }
}
