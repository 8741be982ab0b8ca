import type { Ticket } from '../core/ticket.ts';
import type { QueueFacts } from './queue-facts.ts';
import { type ConfirmChannel, RabbitConnection } from './rabbit-connection.ts';
import { encodeTickets } from './ticket-message.ts';

/** Small enough that the deliveries of one busy moment spread over several workers. */
const TICKETS_PER_MESSAGE = 100;
/** Waiting or unconfirmed, together about 3 MB; the sweeper finds what there is no room for. */
const TICKETS_HELD_MAX = 10_000;
/** Tickets that could not be published for so long are the sweeper's. */
const PATIENCE_MS = 10_000;
const STOP_PATIENCE_MS = 1_000;

export interface RabbitPublisherOptions {
  readonly url: string;
  readonly queueName: string;
  readonly facts: QueueFacts;
  readonly random: () => number;
  readonly declare: (channel: ConfirmChannel) => Promise<void>;
}

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
  readonly #connection: RabbitConnection;
  readonly #unconfirmed = new Set<Sent>();
  #channel: ConfirmChannel | undefined;
  #waiting: Ticket[] = [];
  #waitingSince = 0;
  #held = 0;
  #isBlocked = false;
  #isStopped = false;
  #flushIsDue = false;
  #timer: NodeJS.Timeout | undefined;
  #nothingHeld: (() => void) | undefined;

  constructor(options: RabbitPublisherOptions) {
    this.#options = options;
    this.#connection = new RabbitConnection({
      ...options,
      use: 'publish',
      prepare: async (channel) => {
        await options.declare(channel);
        this.#channel = channel;
        this.#flush();
      },
      lost: () => this.#takeBack(),
      blocked: (isBlocked) => this.#setBlocked(isBlocked),
    });
  }

  connect(): void {
    this.#connection.start();
  }

  publish(tickets: readonly Ticket[]): void {
    if (this.#isStopped || this.#isBlocked) {
      this.#drop(tickets.length, this.#isStopped ? 'the queue was stopped' : 'the broker takes nothing');
      return;
    }
    this.#connection.start();
    const taken = tickets.slice(0, TICKETS_HELD_MAX - this.#held);
    if (taken.length > 0) {
      this.#wait(taken, performance.now());
      this.#flushSoon();
    }
    this.#drop(tickets.length - taken.length, 'too many wait for the broker');
  }

  async stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#flush();
      await this.#settled(STOP_PATIENCE_MS);
    }
    await this.#connection.stop();
    clearTimeout(this.#timer);
  }

  #wait(tickets: readonly Ticket[], since: number): void {
    if (this.#waiting.length === 0) {
      this.#waitingSince = since;
    }
    this.#waiting.push(...tickets);
    this.#held += tickets.length;
    this.#timer ??= setTimeout(() => this.#losePatience(), PATIENCE_MS).unref();
  }

  // One message for all that was committed in this round of the event loop.
  #flushSoon(): void {
    if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      setImmediate(() => {
        this.#flushIsDue = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    while (this.#channel !== undefined && this.#waiting.length > 0) {
      const tickets = this.#waiting.splice(0, TICKETS_PER_MESSAGE);
      if (!this.#send(this.#channel, { tickets, since: performance.now() })) {
        return;
      }
    }
  }

  #send(channel: ConfirmChannel, sent: Sent): boolean {
    this.#unconfirmed.add(sent);
    try {
      channel.sendToQueue(
        this.#options.queueName,
        encodeTickets(sent.tickets),
        { persistent: true },
        (error: unknown) => this.#confirm(sent, error),
      );
      return true;
    } catch {
      // The channel has been closed, and its loss is about to be reported: that takes the tickets back.
      this.#channel = undefined;
      return false;
    }
  }

  /** An error is the end of the channel, which takes the tickets back, or a refusal, which patience sees to. */
  #confirm(sent: Sent, error: unknown): void {
    if (!error && this.#unconfirmed.delete(sent)) {
      this.#letGo(sent.tickets.length);
    }
  }

  /** What was not confirmed is published once more: a ticket that exists twice does no harm. */
  #takeBack(): void {
    this.#channel = undefined;
    const [oldest] = this.#unconfirmed;
    if (oldest !== undefined) {
      this.#waitingSince = oldest.since;
      this.#waiting = [...[...this.#unconfirmed].flatMap(({ tickets }) => tickets), ...this.#waiting];
      this.#unconfirmed.clear();
    }
  }

  #setBlocked(isBlocked: boolean): void {
    this.#isBlocked = isBlocked;
    if (isBlocked) {
      this.#dropWaiting('the broker takes nothing');
    }
  }

  /** Looks again for as long as anything is held; confirms that stopped coming leave no other trace. */
  #losePatience(): void {
    this.#timer = undefined;
    const since = performance.now() - PATIENCE_MS;
    if (this.#waiting.length > 0 && this.#waitingSince <= since) {
      this.#dropWaiting('the broker cannot be reached');
    }
    const late = [...this.#unconfirmed].filter((sent) => sent.since <= since);
    for (const sent of late) {
      this.#unconfirmed.delete(sent);
      this.#letGo(sent.tickets.length);
      this.#drop(sent.tickets.length, 'the broker did not confirm them');
    }
    if (late.length > 0 && !this.#isBlocked) {
      this.#connection.replace(new Error('The broker confirms nothing.'));
    }
    if (this.#held > 0) {
      this.#timer = setTimeout(() => this.#losePatience(), PATIENCE_MS).unref();
    }
  }

  #dropWaiting(reason: string): void {
    const tickets = this.#waiting.length;
    this.#waiting = [];
    this.#letGo(tickets);
    this.#drop(tickets, reason);
  }

  #letGo(tickets: number): void {
    this.#held -= tickets;
    if (this.#held === 0) {
      this.#nothingHeld?.();
    }
  }

  #drop(tickets: number, reason: string): void {
    if (tickets > 0) {
      this.#options.facts.ticketsNotPublished({ tickets, reason });
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
