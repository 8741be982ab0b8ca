import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import type { Ticket } from '../../src/core/delivery.ts';
import { LocalQueue } from '../../src/queue/local-queue.ts';
import type { QueueTelemetry } from '../../src/queue/delivery-queue.ts';
import { RabbitQueue } from '../../src/queue/rabbit-queue.ts';

/** Where a RabbitMQ for tests listens; `npm run services` starts one and prints its address. */
export const TEST_QUEUE_URL = process.env['TEST_QUEUE_URL'];
export const TEST_QUEUE_NEED = 'RabbitMQ: npm run services, then TEST_QUEUE_URL=<its QUEUE_URL>';

/** Removes a queue from the broker, whether it exists or not. */
export async function deleteQueue(name: string): Promise<void> {
  const model = await connect(brokerUrl());
  try {
    await (await model.createChannel()).deleteQueue(name);
  } finally {
    await model.close();
  }
}

export interface Said {
  readonly fact: keyof QueueTelemetry;
  readonly reason?: string;
  readonly use?: string;
  readonly tickets?: number;
}

/** A queue name of its own, and what the queues of this test said. */
export class RabbitFixture {
  readonly queueName: string;
  readonly said: Said[] = [];
  /** What went around the broker. */
  readonly detoured: Ticket[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #queues: RabbitQueue[] = [];
  readonly #url: string;

  constructor({ url = brokerUrl(), queueName = `data-pusher.test-${randomUUID()}` } = {}) {
    this.#url = url;
    this.queueName = queueName;
  }

  queue(url = this.#url): RabbitQueue {
    const queue = new RabbitQueue({
      url,
      queueName: this.queueName,
      random: Math.random,
      telemetry: this.#telemetry,
      fallback: new NotedQueue(this.detoured),
    });
    this.#queues.push(queue);
    return queue;
  }

  /** One that is ready to publish. */
  async connectedQueue(): Promise<RabbitQueue> {
    const before = this.count({ fact: 'queueConnected', use: 'publish' });
    const queue = this.queue();
    queue.connect();
    await this.heard({ fact: 'queueConnected', use: 'publish' }, before + 1);
    return queue;
  }

  /** Resolves when a fact like this has been said so many times. */
  async heard(like: Partial<Said>, times = 1): Promise<void> {
    while (this.count(like) < times) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  count(like: Partial<Said>): number {
    const wanted = Object.entries(like);
    return this.said.filter((said) => wanted.every(([name, value]) => said[name as keyof Said] === value)).length;
  }

  /** A connection without any of our code; the queue must have been declared. */
  async raw<Result>(work: (channel: RawChannel) => Promise<Result>): Promise<Result> {
    const model = await connect(this.#url);
    try {
      return await work(await model.createConfirmChannel());
    } finally {
      await model.close();
    }
  }

  async disconnect(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.stop()));
  }

  async dispose(): Promise<void> {
    await this.disconnect();
    await this.raw((channel) => channel.deleteQueue(this.queueName));
  }

  readonly #telemetry: QueueTelemetry = {
    queueConnected: (fact) => this.#say({ fact: 'queueConnected', ...fact }),
    queueUnavailable: (fact) => this.#say({ fact: 'queueUnavailable', ...fact }),
    ticketsNotPublished: (fact) => this.#say({ fact: 'ticketsNotPublished', ...fact }),
    queueMessageDropped: (fact) => this.#say({ fact: 'queueMessageDropped', ...fact }),
  };

  #say(said: Said): void {
    this.said.push(said);
    for (const resolve of this.#waiting) {
      resolve();
    }
    this.#waiting.clear();
  }
}

/** Notes what it takes. */
class NotedQueue extends LocalQueue {
  readonly #taken: Ticket[];

  constructor(taken: Ticket[]) {
    super();
    this.#taken = taken;
  }

  override async publish(tickets: readonly Ticket[]): Promise<void> {
    this.#taken.push(...tickets);
    await super.publish(tickets);
  }
}

type RawChannel = Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['createConfirmChannel']>>;

export function brokerUrl(): string {
  if (TEST_QUEUE_URL === undefined) {
    throw new Error(`This needs ${TEST_QUEUE_NEED}.`);
  }
  return TEST_QUEUE_URL;
}
