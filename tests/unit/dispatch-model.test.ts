import { describe, expect, test } from '@jest/globals';
import { assert, asyncProperty, integer } from 'fast-check';
import { pino } from 'pino';
import type { ExchangeOutcome } from '../../src/core/delivery.ts';
import type { RequestSource } from '../../src/core/outgoing-request.ts';
import type { Ticket } from '../../src/core/ticket.ts';
import { Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { Payloads } from '../../src/dispatch/payloads.ts';
import type { Sender } from '../../src/dispatch/sender.ts';
import { Sweeper } from '../../src/dispatch/sweeper.ts';
import { Facts } from '../../src/observe/facts.ts';
import { Chance } from '../support/chance.ts';
import { ModelStore } from '../support/model-store.ts';

const DELIVERIES = 60;
const DESTINATIONS = 5;
const STEPS = 400;
const BOUNDS = { maxConcurrency: 8, maxConcurrencyPerDestination: 3 };
const TIMEOUT_MS = 1_000;
/** Far more than it takes when nothing fails any more. */
const STEPS_TO_SETTLE = 5_000;

function ticket(number: number): Ticket {
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
    const common = { startedAt: 0, durationMs: 1, responseBody: null, retryAfter: null };
    if (kind > 0.95) {
      throw new Error('A fault of the sender.');
    }
    return kind < 0.6
      ? { ...common, statusCode: 200, error: null }
      : { ...common, statusCode: kind < 0.9 ? 500 : null, error: kind < 0.9 ? 'HTTP_STATUS' : 'TIMEOUT' };
  }
}

function world(seed: number) {
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
  const facts = new Facts(pino({ level: 'silent' }));
  const common = { deliveries: store, timer: chance, facts };
  const dispatcher = new Dispatcher({
    ...common,
    sender,
    payloads: new Payloads(() => store.payload()),
    retrySchedule: Array.from({ length: 30 }, () => 2_000),
    clock: chance,
    random: chance.random,
    bounds: BOUNDS,
    timeoutMs: TIMEOUT_MS,
  });
  const sweeper = new Sweeper({
    ...common,
    graceMs: () => 0,
    offerLanes: (lanes, line) => dispatcher.offerLanes(lanes, line, true),
  });
  const calmDown = (): void => {
    isFair = true;
    sender.isSound = true;
  };
  return { chance, store, sender, dispatcher, sweeper, calmDown };
}

type World = ReturnType<typeof world>;

/** Everything goes wrong that can, for a while. */
async function storm({ chance, store, dispatcher, sweeper }: World): Promise<Ticket[]> {
  const tickets = Array.from({ length: DELIVERIES }, (_, number) => ticket(number));
  const accepted: Ticket[] = [];
  sweeper.start();
  for (let step = 0; step < STEPS; step += 1) {
    const next = tickets[accepted.length];
    if (next !== undefined && chance.random() < 0.3) {
      accepted.push(next);
      store.insert(next);
      // A ticket may be lost, and may come twice.
      dispatcher.offer(Array.from({ length: chance.below(3) }, () => next));
      dispatcher.offerLanes(chance.random() < 0.2 ? [next] : [], 'fresh', false);
    }
    const one = `destination-${chance.below(DESTINATIONS)}`;
    if (chance.random() < 0.02) {
      store.disabled.add(one);
    } else if (chance.random() < 0.1) {
      store.disabled.delete(one);
    }
    if (chance.random() < 0.05) {
      sweeper.wake();
    }
    await chance.step(chance.random() < 0.01 ? 60_000 : 50);
  }
  return accepted;
}

async function until({ chance }: World, isDone: () => boolean, msPerStep = 200): Promise<void> {
  for (let step = 0; !isDone(); step += 1) {
    if (step > STEPS_TO_SETTLE) {
      throw new Error('It does not come to an end.');
    }
    await chance.step(msPerStep);
  }
}

describe('dispatching, in whatever order things happen', () => {
  test('ends every delivery once, keeps to its bounds, and leaks no slot', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const all = world(seed);
        const { store, sender, dispatcher } = all;
        const accepted = await storm(all);
        expect(sender.most).toBeLessThanOrEqual(BOUNDS.maxConcurrency);
        expect(sender.mostOfOne).toBeLessThanOrEqual(BOUNDS.maxConcurrencyPerDestination);

        all.calmDown();
        store.disabled.clear();
        await until(all, () => store.rows.size === 0 && sender.total === 0);
        expect([...store.finished.keys()].toSorted()).toEqual(accepted.map(({ deliveryId }) => deliveryId).toSorted());

        // Every slot is still there.
        sender.held = [];
        for (let number = 1_000; number < 1_000 + DELIVERIES; number += 1) {
          store.insert(ticket(number));
          dispatcher.offer([ticket(number)]);
        }
        const reserved = Math.floor(BOUNDS.maxConcurrency / 8);
        await until(all, () => sender.total >= BOUNDS.maxConcurrency - reserved, 1);
      }),
      { numRuns: 400 },
    );
  }, 120_000);

  test('takes nothing that it does not send, and asks for no more than it sends, however much waits', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const all = world(seed);
        const { chance, store, sender, dispatcher, sweeper } = all;
        all.calmDown();
        const tickets = Array.from({ length: 6 * DELIVERIES }, (_, number) => ticket(number));
        for (const one of tickets) {
          store.insert(one);
        }
        // Some by their tickets, all the others by a sweep.
        dispatcher.offer(tickets.filter(() => chance.random() < 0.3));
        sweeper.start();
        await until(all, () => sender.sent >= 100, 5);
        const free = BOUNDS.maxConcurrency + DESTINATIONS * 32;
        expect(store.taken - sender.sent).toBeLessThanOrEqual(free);
        expect(store.asked).toBeLessThanOrEqual(sender.sent + 2 * free);
        await until(all, () => store.rows.size === 0 && sender.total === 0, 5);
        expect(store.taken).toBe(tickets.length);
        expect(sender.sent).toBe(tickets.length);
      }),
      { numRuns: 20 },
    );
  }, 120_000);

  test('stops when it is told to, and leaves every delivery finished, due, or leased for a while', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const all = world(seed);
        const { chance, store, sender, dispatcher, sweeper } = all;
        const accepted = await storm(all);
        const sentBefore = sender.sent;
        let isStopped = false;
        void Promise.all([sweeper.stop(), dispatcher.stop(0)]).then(() => {
          isStopped = true;
        });
        await until(all, () => isStopped);
        expect(sender.total).toBe(0);
        expect(sender.sent).toBeLessThanOrEqual(sentBefore + BOUNDS.maxConcurrency);
        const ids = [...store.finished.keys(), ...store.rows.keys()].toSorted();
        expect(ids).toEqual(accepted.map(({ deliveryId }) => deliveryId).toSorted());
        for (const { leasedUntil = 0 } of store.rows.values()) {
          expect(leasedUntil).toBeLessThanOrEqual(chance.now() + 2 * TIMEOUT_MS + 15_000);
        }
        dispatcher.offer(accepted);
        dispatcher.offerLanes(accepted, 'fresh', true);
        const { sent } = sender;
        await chance.step(1_000);
        expect(sender.sent).toBe(sent);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});
