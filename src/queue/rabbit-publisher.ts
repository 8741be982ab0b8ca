import type { Ticket } from '../core/delivery.ts';
import type { QueueTelemetry } from './delivery-queue.ts';
import { type ConfirmChannel, RabbitConnection, type RabbitConnectionOptions } from './rabbit-connection.ts';
import { encodeTickets } from './ticket-message.ts';

/** Small enough to spread the deliveries of a busy moment over several workers. */
const TICKETS_PER_MESSAGE = 100;
/** About 3 MB. */
const TICKETS_UNCONFIRMED_MAX = 10_000;
/** A broker that is frozen or has no leader takes tickets and confirms none. */
const CONFIRM_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;

export interface RabbitPublisherOptions {
  readonly url: string;
  readonly queueName: string;
  readonly telemetry: QueueTelemetry;
  readonly random: () => number;
  readonly declare: (channel: ConfirmChannel) => Promise<void>;
  /** Called with every ticket that the broker may not have. */
  readonly refused: (tickets: readonly Ticket[]) => void;
  /** For tests. */
  readonly createConnection?: (options: RabbitConnectionOptions) => PublisherConnection;
}

export type PublisherConnection = Pick<RabbitConnection, 'start' | 'replace' | 'stop'>;

interface Sent {
  readonly tickets: readonly Ticket[];
  readonly since: number;
}

/**
 * Publishes on a connection of its own. A broker that runs short of memory or disk stops reading from publishing
 * connections, and would not see the consumer's acknowledgements on the same connection.
 */
export class RabbitPublisher {
  readonly #options: RabbitPublisherOptions;
  readonly #connection: PublisherConnection;
  readonly #unconfirmed = new Set<Sent>();
  #channel: ConfirmChannel | undefined;
  #waiting: Ticket[] = [];
  #held = 0;
  #isBlocked = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: RabbitPublisherOptions) {
    this.#options = options;
    const { createConnection = (own) => new RabbitConnection(own) } = options;
    this.#connection = createConnection({
      ...options,
      use: 'publish',
      prepare: async (channel) => {
        await options.declare(channel);
        channel.on('return', () => this.#onReturn(channel));
        this.#channel = channel;
      },
      lost: () => {
        this.#channel = undefined;
        this.#refuseAll('the connection was lost');
      },
      blocked: (isBlocked) => {
        this.#isBlocked = isBlocked;
        if (isBlocked) {
          this.#refuseAll('the broker takes nothing');
        }
      },
    });
  }

  connect(): void {
    this.#connection.start();
  }

  /** True while the broker takes tickets. */
  get isOpen(): boolean {
    return this.#channel !== undefined && !this.#isBlocked && !this.#isStopped;
  }

  publish(tickets: readonly Ticket[]): void {
    this.#connection.start();
    const room = this.isOpen ? TICKETS_UNCONFIRMED_MAX - this.#held : 0;
    const taken = tickets.slice(0, room);
    if (taken.length > 0) {
      this.#enqueue(taken);
    }
    this.#refuse(tickets.slice(taken.length), this.isOpen ? 'too many wait for the broker' : 'the broker is away');
  }

  async stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#flush();
      this.#isStopped = true;
      await this.#settled(STOP_TIMEOUT_MS);
    }
    await this.#connection.stop();
    clearTimeout(this.#timer);
    this.#refuseAll('the queue was stopped');
  }

  // Combines the tickets of everything that was committed in this turn of the event loop.
  #enqueue(tickets: readonly Ticket[]): void {
    if (this.#waiting.length === 0) {
      setImmediate(() => this.#flush());
    }
    this.#waiting.push(...tickets);
    this.#held += tickets.length;
    this.#timer ??= setTimeout(() => this.#refuseLate(), CONFIRM_TIMEOUT_MS).unref();
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const sent = { tickets: this.#waiting.splice(0, TICKETS_PER_MESSAGE), since: performance.now() };
      this.#unconfirmed.add(sent);
      this.#send(sent);
    }
  }

  #send(sent: Sent): void {
    try {
      this.#channel?.sendToQueue(
        this.#options.queueName,
        encodeTickets(sent.tickets),
        // Without `mandatory`, a broker without this queue would confirm the message and drop it.
        { persistent: true, mandatory: true },
        (error: unknown) => this.#confirm(sent, error),
      );
    } catch {
      // The channel is closed. `lost` is called soon, and refuses the unconfirmed tickets.
      this.#channel = undefined;
    }
  }

  #confirm(sent: Sent, error: unknown): void {
    if (this.#unconfirmed.delete(sent)) {
      this.#countOff(sent.tickets.length);
      this.#refuse(error ? sent.tickets : [], 'the broker refused them');
    }
  }

  /** The queue does not exist. The broker confirms a returned message next, so its tickets must be refused now. */
  #onReturn(channel: ConfirmChannel): void {
    if (this.#channel === channel) {
      this.#channel = undefined;
      this.#refuseAll('the queue was deleted');
      this.#connection.replace(new Error('The queue was deleted.'));
    }
  }

  /** Some may have arrived, but a repeated ticket does no harm. */
  #refuseAll(reason: string): void {
    const tickets = [...[...this.#unconfirmed].flatMap((sent) => sent.tickets), ...this.#waiting];
    this.#unconfirmed.clear();
    this.#waiting = [];
    this.#countOff(tickets.length);
    this.#refuse(tickets, reason);
  }

  /** Runs while tickets are held, because nothing else notices that confirms have stopped. */
  #refuseLate(): void {
    this.#timer = undefined;
    const since = performance.now() - CONFIRM_TIMEOUT_MS;
    const late = [...this.#unconfirmed].filter((sent) => sent.since <= since);
    for (const sent of late) {
      this.#unconfirmed.delete(sent);
      this.#countOff(sent.tickets.length);
      this.#refuse(sent.tickets, 'the broker did not confirm them');
    }
    if (late.length > 0 && !this.#isBlocked) {
      this.#connection.replace(new Error('The broker confirms nothing.'));
    }
    if (this.#held > 0) {
      this.#timer = setTimeout(() => this.#refuseLate(), CONFIRM_TIMEOUT_MS).unref();
    }
  }

  #countOff(tickets: number): void {
    this.#held -= tickets;
    if (this.#held === 0) {
      this.#onEmpty?.();
    }
  }

  #refuse(tickets: readonly Ticket[], reason: string): void {
    if (tickets.length > 0) {
      this.#options.telemetry.ticketsNotPublished({ tickets: tickets.length, reason });
      this.#options.refused(tickets);
    }
  }

  async #settled(withinMs: number): Promise<void> {
    if (this.#held === 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
