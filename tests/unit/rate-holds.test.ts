import { describe, expect, test } from '@jest/globals';
import { assert, asyncProperty, integer } from 'fast-check';
import { createWorld, DESTINATIONS, ticket, type World } from '../support/dispatch-world.ts';

const LIMITED = 'destination-0';
const EVENTS = 60;

/** @returns the virtual milliseconds that it took */
async function until({ chance }: World, isDone: () => boolean): Promise<number> {
  const from = chance.now();
  while (!isDone()) {
    if (chance.now() - from > 60_000) {
      throw new Error('It does not come to an end.');
    }
    await chance.step(1);
  }
  return chance.now() - from;
}

describe('a destination with a rate limit', () => {
  test('gets its deliveries evenly, asks for little more than it gets, and delays no other destination', async () => {
    await assert(
      asyncProperty(integer(), async (seed) => {
        const world = createWorld(seed);
        const { store, sender, dispatcher, sweeper } = world;
        world.calmDown();
        store.limit(LIMITED, { count: 20, perMs: 1_000 });
        const all = Array.from({ length: EVENTS * DESTINATIONS }, (_, number) => ticket(number));
        all.forEach((one) => store.insert(one));
        dispatcher.offer(all);
        sweeper.start();
        const left = (isLimited: boolean) =>
          [...store.rows.values()].filter(({ destinationId }) => (destinationId === LIMITED) === isLimited).length;
        await until(world, () => left(false) === 0);
        const first = left(true);
        const asked = store.asked;
        const took = await until(world, () => left(true) === 0);
        // Two at once and then one every 50 ms; each may be a little late.
        expect(took).toBeGreaterThanOrEqual((first - 4) * 50);
        expect(took).toBeLessThanOrEqual(first * 60 + 500);
        expect(store.asked - asked).toBeLessThanOrEqual(2 * first + 10);
        expect(sender.sentTo.get(`http://127.0.0.1/${LIMITED}`)).toBe(EVENTS);
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  test('keeps nothing waiting when the dispatcher stops', async () => {
    const world = createWorld(7);
    const { chance, store, dispatcher } = world;
    world.calmDown();
    store.limit(LIMITED, { count: 1, perMs: 86_400_000 });
    [ticket(0), ticket(DESTINATIONS)].forEach((one) => {
      store.insert(one);
      dispatcher.offer([one]);
    });
    await until(world, () => store.rows.size === 1);
    let unfinished: number | undefined;
    void dispatcher.stop(1_000).then((count) => {
      unfinished = count;
    });
    await until(world, () => unfinished !== undefined);
    const { asked } = store;
    await chance.step(60_000);
    await chance.step(60_000);
    expect([unfinished, store.asked, store.rows.size]).toEqual([0, asked, 1]);
  });
});
