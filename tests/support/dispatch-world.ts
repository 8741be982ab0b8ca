import { pino } from 'pino';
import type { ExchangeOutcome, Ticket } from '../../src/core/delivery.ts';
import type { RequestSource } from '../../src/core/outgoing-request.ts';
import { Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { Payloads } from '../../src/dispatch/payloads.ts';
import { RequestBodies } from '../../src/dispatch/request-bodies.ts';
import type { Sender } from '../../src/dispatch/http-sender.ts';
import { Sweeper } from '../../src/dispatch/sweeper.ts';
import { Telemetry } from '../../src/observe/telemetry.ts';
import { Transformer } from '../../src/transform/transformer.ts';
import { Chance } from './chance.ts';
import { ModelStore } from './model-store.ts';

export const DELIVERIES = 60;
export const DESTINATIONS = 5;
export const BOUNDS = { maxConcurrency: 8, maxConcurrencyPerDestination: 3, threads: 1 };
export const TIMEOUT_MS = 1_000;

export function ticket(number: number): Ticket {
  const destination = number % DESTINATIONS;
  return {
    deliveryId: `delivery-${number}`,
    destinationId: `destination-${destination}`,
    accountId: `account-${destination % 2}`,
    attempt: 0,
  };
}

/** Answers in some later step, in one of the ways in which destinations do. */
class ModelSender implements Sender {
  readonly underWay = new Map<string, number>();
  readonly #chance: Chance;
  most = 0;
  mostOfOne = 0;
  sent = 0;
  readonly sentTo = new Map<string, number>();
  /** While it is set, nothing is answered. */
  held: (() => void)[] | undefined;
  isSound = false;
  #isClosed = false;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  get total(): number {
    return [...this.underWay.values()].reduce((sum, count) => sum + count, 0);
  }

  async send({ url }: RequestSource): Promise<ExchangeOutcome | undefined> {
    const count = (this.underWay.get(url) ?? 0) + 1;
    this.underWay.set(url, count);
    this.sent += 1;
    this.sentTo.set(url, (this.sentTo.get(url) ?? 0) + 1);
    this.mostOfOne = Math.max(this.mostOfOne, count);
    this.most = Math.max(this.most, this.total);
    const { held } = this;
    await (held === undefined ? this.#chance.later() : new Promise<void>((resolve) => void held.push(resolve)));
    this.underWay.set(url, (this.underWay.get(url) ?? 0) - 1);
    return this.#isClosed ? undefined : this.#outcome();
  }

  close(): void {
    this.#isClosed = true;
    for (const answer of this.held?.splice(0) ?? []) {
      answer();
    }
  }

  #outcome(): ExchangeOutcome {
    const kind = this.isSound ? 0 : this.#chance.random();
    const common = { startedAt: 0, durationMs: 1, message: null, responseBody: null, retryAfter: null };
    if (kind > 0.95) {
      throw new Error('A fault of the sender.');
    }
    if (kind < 0.6) {
      return { ...common, statusCode: 200, error: null };
    }
    return kind < 0.9
      ? { ...common, statusCode: kind < 0.88 ? 500 : 410, error: 'HTTP_STATUS' }
      : { ...common, statusCode: null, error: 'TIMEOUT' };
  }
}

/** A dispatcher and its sweeper among a store, a sender and a clock that do things in any order. */
export function createWorld(seed: number) {
  const chance = new Chance(seed);
  let isFair = false;
  const store = new ModelStore(
    () => chance.now(),
    async (operation) => {
      await chance.later();
      const luck = isFair ? 1 : chance.random();
      if (luck < 0.05) {
        throw new Error('The database is away.');
      }
      const result = operation();
      await chance.later();
      if (luck < 0.1) {
        throw new Error('The answer is lost.');
      }
      return result;
    },
  );
  const sender = new ModelSender(chance);
  const telemetry = new Telemetry(pino({ level: 'silent' }));
  const common = { deliveries: store, timer: chance, telemetry };
  const dispatcher = new Dispatcher({
    ...common,
    sender,
    bodies: new RequestBodies({
      payloads: new Payloads((eventId, target) => store.readPayload(eventId, target)),
      expressions: new Transformer({ telemetry }),
      timer: chance,
    }),
    policyDefaults: {
      timeoutMs: TIMEOUT_MS,
      retrySchedule: Array.from({ length: 30 }, () => 2_000),
      maxConcurrency: BOUNDS.maxConcurrencyPerDestination,
    },
    clock: chance,
    random: chance.random,
    bounds: BOUNDS,
  });
  const sweeper = new Sweeper({
    ...common,
    graceMs: () => 0,
    waitingDestinations: () => dispatcher.waitingDestinations,
    withdraw: (ids) => dispatcher.withdraw(ids),
    offerLanes: (lanes, priority) => dispatcher.offerLanes(lanes, priority, true),
    offerLost: (lane, lost) => dispatcher.offerLost(lane, lost),
  });
  const calmDown = (): void => {
    isFair = true;
    sender.isSound = true;
  };
  return { chance, store, sender, dispatcher, sweeper, calmDown };
}

export type World = ReturnType<typeof createWorld>;
