import type { ConfirmChannel, RabbitConnectionOptions } from '../../src/queue/rabbit-connection.ts';
import type { PublisherConnection } from '../../src/queue/rabbit-publisher.ts';
import { decodeTickets } from '../../src/queue/ticket-message.ts';
import type { Ticket } from '../../src/core/delivery.ts';

interface Message {
  readonly tickets: readonly Ticket[];
  readonly answer: (error: Error | null) => void;
}

/** What stands behind one publisher, and does what a test says. It answers in the order that amqplib does. */
export class FakeBroker {
  /** Tickets that it was given. */
  sent = 0;
  readonly #confirmed: (tickets: readonly Ticket[]) => void;
  #options: RabbitConnectionOptions | undefined;
  #messages: Message[] = [];
  /** Of the channel that is open. */
  #open: { isOpen: boolean } | undefined;
  #returned: (() => void) | undefined;
  #isStopped = false;

  constructor(confirmed: (tickets: readonly Ticket[]) => void) {
    this.#confirmed = confirmed;
  }

  readonly createConnection = (options: RabbitConnectionOptions): PublisherConnection => {
    this.#options = options;
    return {
      start: () => {},
      replace: () => this.lose(),
      stop: async () => {
        this.#isStopped = true;
        await Promise.resolve();
        this.lose();
      },
    };
  };

  get unanswered(): number {
    return this.#messages.length;
  }

  async open(): Promise<void> {
    if (this.#open === undefined && !this.#isStopped) {
      const state = { isOpen: true };
      this.#open = state;
      this.#options?.blocked?.(false);
      await this.#options?.prepare(this.#channel(state));
    }
  }

  /** An attempt that fails is told too. */
  lose(): void {
    this.end();
    this.#open = undefined;
    this.#options?.lost?.(new Error('The connection was lost.'));
  }

  /** The channel has come to its end, and the loss of the connection is still to be told. */
  end(): void {
    if (this.#open !== undefined) {
      this.#open.isOpen = false;
    }
    for (const { answer } of this.#messages.splice(0)) {
      answer(new Error('channel closed'));
    }
  }

  block(isBlocked: boolean): void {
    if (this.#open?.isOpen === true) {
      this.#options?.blocked?.(isBlocked);
    }
  }

  /** The queue is gone: what could not be put into it comes back, and is confirmed for all that. */
  giveBack(messages: number): void {
    const returned = this.#messages.splice(0, messages);
    for (const _ of returned) {
      this.#returned?.();
    }
    for (const { answer } of returned) {
      answer(null);
    }
  }

  /** To the oldest of the messages: a broker may answer for several at once. */
  answer(messages: number, error: Error | null): void {
    for (const { tickets, answer } of this.#messages.splice(0, messages)) {
      if (error === null) {
        this.#confirmed(tickets);
      }
      answer(error);
    }
  }

  #channel(state: { readonly isOpen: boolean }): ConfirmChannel {
    const sendToQueue = (_: string, content: Buffer, __: unknown, answer: Message['answer']) => {
      if (!state.isOpen) {
        throw new Error('Channel closed');
      }
      const tickets = decodeTickets(content);
      this.sent += tickets.length;
      this.#messages.push({ tickets, answer });
      return true;
    };
    const on = (_: 'return', returned: () => void) => {
      this.#returned = returned;
    };
    return { sendToQueue, on } as unknown as ConfirmChannel;
  }
}
