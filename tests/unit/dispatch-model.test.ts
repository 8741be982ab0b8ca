import { describe, expect, test } from '@jest/globals';
import { assert, asyncProperty, integer } from 'fast-check';
import type { Ticket } from '../../src/core/delivery.ts';
import {
  BOUNDS,
  createWorld,
  DELIVERIES,
  DESTINATIONS,
  ticket,
  TIMEOUT_MS,
  type World,
} from '../support/dispatch-world.ts';

const STEPS = 400;
/** Far more than it takes when nothing fails any more. */
const STEPS_TO_SETTLE = 5_000;

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
      dispatcher.withdraw(chance.random() < 0.5 ? [one] : []);
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
        const all = createWorld(seed);
        const { store, sender, dispatcher } = all;
        if (seed % 2 === 0) {
          store.limit('destination-0', { count: 20, perMs: 1_000 });
        }
        const accepted = await storm(all);
        expect(sender.most).toBeLessThanOrEqual(BOUNDS.maxConcurrency);
        expect(sender.mostOfOne).toBeLessThanOrEqual(BOUNDS.maxConcurrencyPerDestination);

        all.calmDown();
        await until(all, () => {
          // Also what is said to be gone by answers that are still on their way.
          store.disabled.clear();
          return store.rows.size === 0 && sender.total === 0;
        });
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
        const all = createWorld(seed);
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

  test('begins nothing for a destination once it is told that it is withdrawn', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const all = createWorld(seed);
        const { chance, store, sender, dispatcher, sweeper } = all;
        all.calmDown();
        for (let number = 0; number < 6 * DELIVERIES; number += 1) {
          store.insert(ticket(number));
          dispatcher.offer(chance.random() < 0.3 ? [ticket(number)] : []);
        }
        sweeper.start();
        await until(all, () => sender.sent >= 50, 5);
        store.deleteDestination('destination-0');
        dispatcher.withdraw(['destination-0']);
        const sent = sender.sentTo.get('http://127.0.0.1/destination-0');
        await until(all, () => store.rows.size === 0 && sender.total === 0, 5);
        expect(sender.sentTo.get('http://127.0.0.1/destination-0')).toBe(sent);
      }),
      { numRuns: 100 },
    );
  }, 120_000);

  test('stops when it is told to, and leaves every delivery finished, due, or leased for a while', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const all = createWorld(seed);
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
