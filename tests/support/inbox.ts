import type { Ticket } from '../../src/core/delivery.ts';

/** Collects what a queue hands over, and says when something is there. */
export class Inbox {
  readonly received: Ticket[] = [];
  #look = () => {};

  readonly receive = (some: readonly Ticket[]): void => {
    this.received.push(...some);
    this.#look();
  };

  async holds(wanted: readonly Ticket[]): Promise<void> {
    const isThere = () => {
      const ids = new Set(this.received.map(({ deliveryId }) => deliveryId));
      return wanted.every(({ deliveryId }) => ids.has(deliveryId));
    };
    while (!isThere()) {
      await this.next();
    }
  }

  /** Resolves when something is handed over. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#look = resolve;
    });
  }
}
