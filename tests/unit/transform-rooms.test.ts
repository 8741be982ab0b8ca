import { beforeEach, expect, test } from '@jest/globals';
import { type Room, TransformRooms } from '../../src/dispatch/transform-rooms.ts';
import { Chance } from '../support/chance.ts';

const ROOMS = 32;
const ROOMS_PER_ACCOUNT = 16;
const ROOMS_PER_DESTINATION = 8;
const ROOMS_RESERVED = 8;

let timer: Chance;
let rooms: TransformRooms;
/** The rooms that were given, in order, each with its destination. */
let given: { destinationId: string; room: Room }[];
/** Destinations that got none. */
let refused: string[];

beforeEach(() => {
  timer = new Chance(1);
  rooms = new TransformRooms(timer);
  given = [];
  refused = [];
});

/** Asks for rooms in this order. A destination is named by its account and a number: `a1`. */
async function ask(...destinationIds: string[]): Promise<void> {
  for (const destinationId of destinationIds) {
    void rooms.enter({ accountId: `account ${destinationId.charAt(0)}`, destinationId }).then((room) => {
      if (room === undefined) {
        refused.push(destinationId);
      } else {
        given.push({ destinationId, room });
      }
    });
  }
  await timer.step(0);
}

function many(count: number, destinationId: string): string[] {
  return Array.from({ length: count }, () => destinationId);
}

test('a destination has its share, and its account has room for others', async () => {
  await ask(...many(20, 'a1'));
  expect(given).toHaveLength(ROOMS_PER_DESTINATION);
  await ask('a2', 'b1');
  expect(given.map(({ destinationId }) => destinationId).slice(-2)).toEqual(['a2', 'b1']);
});

test('an account has its share, and other accounts have room', async () => {
  await ask(...many(8, 'a1'), ...many(8, 'a2'), ...many(8, 'a3'));
  expect(given).toHaveLength(ROOMS_PER_ACCOUNT);
  await ask(...many(8, 'b1'));
  expect(given).toHaveLength(ROOMS_PER_ACCOUNT + 8);
});

test('there are so many rooms in all, and who waits gets the next one that is free', async () => {
  await ask(...['a1', 'a2', 'b1', 'b2'].flatMap((id) => many(8, id)));
  expect(given).toHaveLength(ROOMS - ROOMS_RESERVED);
  given[0]?.room.leave();
  given[0]?.room.leave();
  await timer.step(0);
  expect(given.slice(ROOMS - ROOMS_RESERVED).map(({ destinationId }) => destinationId)).toEqual(['b2']);
});

test('the last rooms are for accounts that hold few', async () => {
  await ask(...['a1', 'a2', 'b1', 'b2', 'c1'].flatMap((id) => many(8, id)), 'd1', 'e1', 'e1', 'f1', 'f2', 'g1', 'h1');
  const later = given.slice(ROOMS - ROOMS_RESERVED).map(({ destinationId }) => destinationId);
  expect(later).toEqual(['c1', 'c1', 'd1', 'e1', 'e1', 'f1', 'f2', 'g1']);
});

test('who waits behind others of a full account is not held up by them', async () => {
  await ask(...many(9, 'a1'), ...many(9, 'a2'), 'a3', ...many(9, 'b1'));
  expect(given).toHaveLength(ROOMS_PER_ACCOUNT + ROOMS_PER_DESTINATION);
  const first = given.find(({ destinationId }) => destinationId === 'b1');
  first?.room.leave();
  await timer.step(0);
  expect(given.at(-1)?.destinationId).toBe('b1');
  expect(given).toHaveLength(ROOMS_PER_ACCOUNT + ROOMS_PER_DESTINATION + 1);
});

test('nobody waits for more than 10 s', async () => {
  await ask(...many(9, 'a1'));
  const start = timer.now();
  while (refused.length === 0) {
    await timer.step(100);
  }
  expect(timer.now() - start).toBeGreaterThanOrEqual(10_000);
  expect(timer.now() - start).toBeLessThan(10_300);
  given[0]?.room.leave();
  await ask('a1');
  expect(given).toHaveLength(ROOMS_PER_DESTINATION + 1);
});

test('once they are closed nobody waits and nobody enters', async () => {
  await ask(...many(9, 'a1'));
  rooms.close();
  await timer.step(0);
  await ask('b1');
  expect(refused).toEqual(['a1', 'b1']);
});
