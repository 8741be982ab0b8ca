import type { Ticket } from '../core/delivery.ts';
import type { QueueTelemetry } from './delivery-queue.ts';
import { type ConfirmChannel, RabbitConnection, type RabbitConnectionOptions } from './rabbit-connection.ts';
import { encodeTickets } from './ticket-message.ts';

/** Small enough that the deliveries of one busy moment spread over several workers. */
const TICKETS_PER_MESSAGE = 100;
/** Together about 3 MB. */
const TICKETS_UNCONFIRMED_MAX = 10_000;
/** A broker that is frozen, or has no leader, takes tickets and confirms none. */
const CONFIRMED_WITHIN_MS = 5_000;
const STOP_PATIENCE_MS = 1_000;

export interface RabbitPublisherOptions {
  readonly url: string;
  readonly queueName: string;
  readonly telemetry: QueueTelemetry;
  readonly random: () => number;
  readonly declare: (channel: ConfirmChannel) => Promise<void>;
  /** Gets every ticket that the broker may not have. */
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
 * Has a connection to itself: a broker that runs short of memory or disk stops reading from the connections
 * that publish, and acknowledgements would stand in the same line.
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
  #nothingHeld: (() => void) | undefined;

  constructor(options: RabbitPublisherOptions) {
    this.#options = options;
    const { createConnection = (own) => new RabbitConnection(own) } = options;
    this.#connection = createConnection({
      ...options,
      use: 'publish',
      prepare: async (channel) => {
        await options.declare(channel);
        channel.on('return', () => this.#queueIsGone(channel));
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
      this.#wait(taken);
    }
    this.#refuse(tickets.slice(taken.length), this.isOpen ? 'too many wait for the broker' : 'the broker is away');
  }

  async stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#flush();
      this.#isStopped = true;
      await this.#settled(STOP_PATIENCE_MS);
    }
    await this.#connection.stop();
    clearTimeout(this.#timer);
    this.#refuseAll('the queue was stopped');
  }

  // One message for all that was committed in this round of the event loop.
  #wait(tickets: readonly Ticket[]): void {
    if (this.#waiting.length === 0) {
      setImmediate(() => this.#flush());
    }
    this.#waiting.push(...tickets);
    this.#held += tickets.length;
    this.#timer ??= setTimeout(() => this.#losePatience(), CONFIRMED_WITHIN_MS).unref();
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
        // A broker that has no such queue would otherwise confirm the message, and drop it.
        { persistent: true, mandatory: true },
        (error: unknown) => this.#confirm(sent, error),
      );
    } catch {
      // The channel has been closed, and its loss is about to be reported: that refuses what is unconfirmed.
      this.#channel = undefined;
    }
  }

  #confirm(sent: Sent, error: unknown): void {
    if (this.#unconfirmed.delete(sent)) {
      this.#letGo(sent.tickets.length);
      this.#refuse(error ? sent.tickets : [], 'the broker refused them');
    }
  }

  /** The confirmation of what was returned is on its way: by then its tickets must have gone another. */
  #queueIsGone(channel: ConfirmChannel): void {
    if (this.#channel === channel) {
      this.#channel = undefined;
      this.#refuseAll('the queue was deleted');
      this.#connection.replace(new Error('The queue was deleted.'));
    }
  }

  /** Some of them may have arrived: a ticket that exists twice does no harm. */
  #refuseAll(reason: string): void {
    const tickets = [...[...this.#unconfirmed].flatMap((sent) => sent.tickets), ...this.#waiting];
    this.#unconfirmed.clear();
    this.#waiting = [];
    this.#letGo(tickets.length);
    this.#refuse(tickets, reason);
  }

  /** Looks again for as long as anything is held; confirms that stopped coming leave no other trace. */
  #losePatience(): void {
    this.#timer = undefined;
    const since = performance.now() - CONFIRMED_WITHIN_MS;
    const late = [...this.#unconfirmed].filter((sent) => sent.since <= since);
    for (const sent of late) {
      this.#unconfirmed.delete(sent);
      this.#letGo(sent.tickets.length);
      this.#refuse(sent.tickets, 'the broker did not confirm them');
    }
    if (late.length > 0 && !this.#isBlocked) {
      this.#connection.replace(new Error('The broker confirms nothing.'));
    }
    if (this.#held > 0) {
      this.#timer = setTimeout(() => this.#losePatience(), CONFIRMED_WITHIN_MS).unref();
    }
  }

  #letGo(tickets: number): void {
    this.#held -= tickets;
    if (this.#held === 0) {
      this.#nothingHeld?.();
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
      this.#nothingHeld = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
