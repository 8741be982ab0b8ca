import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/ticket.ts';
import type { Lane } from '../../src/dispatch/lane.ts';
import { Lanes } from '../../src/dispatch/lanes.ts';

const NOW = 1_000_000;

/** Of an account of its own, unless one is named. */
function tickets(destinationId: string, count: number, accountId = destinationId, attempt = 0): Ticket[] {
  return Array.from({ length: count }, (_, index) => ({
    deliveryId: `${destinationId}-${attempt}-${index}`,
    destinationId,
    accountId,
    attempt,
  }));
}

function laneOf(lanes: Lanes, id: string): Lane {
  return lanes.of({ destinationId: id, accountId: id });
}

function lanesWith(bounds: { maxConcurrency: number; maxConcurrencyPerDestination: number }, offered: Ticket[]): Lanes {
  const lanes = new Lanes(bounds);
  for (const ticket of offered) {
    lanes.offer(ticket);
  }
  return lanes;
}

function perLane(taken: { lane: { destinationId: string } }[]): Record<string, number> {
  return Object.fromEntries(
    [...Map.groupBy(taken, ({ lane }) => lane.destinationId)].map(([destinationId, own]) => [
      destinationId,
      own.length,
    ]),
  );
}

describe('Lanes', () => {
  test('no destination gets more than its bound, and all together no more than theirs', () => {
    const bounds = { maxConcurrency: 7, maxConcurrencyPerDestination: 3 };
    const lanes = lanesWith(bounds, [...tickets('a', 20), ...tickets('b', 20), ...tickets('c', 20)]);
    expect(perLane(lanes.takeTurn(NOW))).toEqual({ a: 3, b: 2, c: 2 });
    expect(lanes.takeTurn(NOW)).toEqual([]);
  });

  test('a destination that hangs leaves the slots of the others alone', () => {
    const bounds = { maxConcurrency: 7, maxConcurrencyPerDestination: 3 };
    const lanes = lanesWith(bounds, tickets('dead', 100));
    lanes.takeTurn(NOW);
    for (const ticket of tickets('live', 100)) {
      lanes.offer(ticket);
    }
    expect(perLane(lanes.takeTurn(NOW))).toEqual({ live: 3 });
  });

  test('claims are made ahead only for a destination that has lately finished something', () => {
    const bounds = { maxConcurrency: 8, maxConcurrencyPerDestination: 2 };
    const lanes = lanesWith(bounds, tickets('a', 100));
    expect(lanes.takeTurn(NOW)).toHaveLength(2);
    expect(lanes.takeTurn(NOW)).toHaveLength(0);
    laneOf(lanes, 'a').lastFinishedAt = NOW - 10;
    expect(lanes.takeTurn(NOW)).toHaveLength(32);
    expect(lanes.takeTurn(NOW)).toHaveLength(0);
  });

  test('a delivery that is held already is not taken in twice', () => {
    const lanes = lanesWith({ maxConcurrency: 8, maxConcurrencyPerDestination: 8 }, [
      ...tickets('a', 3),
      ...tickets('a', 3),
    ]);
    expect(lanes.takeTurn(NOW)).toHaveLength(3);
    for (const ticket of tickets('a', 3)) {
      lanes.offer(ticket);
    }
    expect(lanes.takeTurn(NOW)).toHaveLength(0);
  });

  test('what does not fit stays in the store, and is asked for when there is room again', () => {
    const lanes = lanesWith({ maxConcurrency: 1_000, maxConcurrencyPerDestination: 1_000 }, tickets('a', 100_000));
    expect(laneOf(lanes, 'a').fresh).toHaveLength(512);
    expect(lanes.toRefill()).toEqual([]);
    lanes.takeTurn(NOW);
    expect(lanes.toRefill()).toEqual([laneOf(lanes, 'a')]);
  });

  test('destinations that fill the memory do not lock the others out', () => {
    const full = Array.from({ length: 40 }, (_, index) => tickets(`full-${index}`, 1_000)).flat();
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [
      ...full,
      ...tickets('late', 1_000),
    ]);
    expect(laneOf(lanes, 'late').fresh).toHaveLength(16);
  });

  test('accounts take turns, however many destinations one of them has', () => {
    const hot = Array.from({ length: 20 }, (_, index) => tickets(`hot-${index}`, 100, 'hot')).flat();
    const lanes = lanesWith({ maxConcurrency: 7, maxConcurrencyPerDestination: 2 }, [
      ...hot,
      ...tickets('b', 100),
      ...tickets('c', 100),
    ]);
    const taken = lanes.takeTurn(NOW);
    expect(taken).toHaveLength(7);
    expect(perLane(taken)).toMatchObject({ b: 2, c: 2 });
  });

  test('slots that fall free one by one go to the accounts in turn, and within them to the destinations', () => {
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [
      ...tickets('hot-1', 100, 'hot'),
      ...tickets('hot-2', 100, 'hot'),
      ...tickets('b', 100),
    ]);
    const served: string[] = [];
    for (let slot = 0; slot < 8; slot += 1) {
      for (const { lane } of lanes.takeTurn(NOW)) {
        served.push(lane.destinationId);
        lane.claiming -= 1;
      }
    }
    expect(served).toEqual(['hot-1', 'b', 'hot-2', 'b', 'hot-1', 'b', 'hot-2', 'b']);
  });

  test('first attempts go before retries, of the same destination and of its account', () => {
    const lanes = lanesWith({ maxConcurrency: 6, maxConcurrencyPerDestination: 4 }, [
      ...tickets('failing', 100, 'account', 3),
      ...tickets('failing', 2, 'account'),
      ...tickets('sound', 3, 'account'),
    ]);
    const taken = lanes.takeTurn(NOW).map(({ ticket }) => ticket.attempt);
    expect(taken).toEqual([0, 0, 0, 0, 0, 3]);
  });

  test('an account whose destinations all hang cannot take every slot', () => {
    const hanging = Array.from({ length: 40 }, (_, index) => tickets(`dead-${index}`, 100, 'dead')).flat();
    const lanes = lanesWith({ maxConcurrency: 64, maxConcurrencyPerDestination: 16 }, hanging);
    expect(lanes.takeTurn(NOW)).toHaveLength(56);
    for (const ticket of tickets('live', 100)) {
      lanes.offer(ticket);
    }
    expect(perLane(lanes.takeTurn(NOW))).toEqual({ live: 8 });
  });

  test('retries that fill a lane leave room for first attempts', () => {
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [
      ...tickets('a', 1_000, 'a', 2),
      ...tickets('a', 1_000),
    ]);
    expect(laneOf(lanes, 'a').retries).toHaveLength(512);
    expect(laneOf(lanes, 'a').fresh).toHaveLength(512);
  });

  test('an idle lane that is dropped twice does not take its successor along', () => {
    const lanes = lanesWith({ maxConcurrency: 8, maxConcurrencyPerDestination: 8 }, []);
    const first = laneOf(lanes, 'a');
    lanes.dropIfIdle(first);
    for (const ticket of tickets('a', 3)) {
      lanes.offer(ticket);
    }
    lanes.dropIfIdle(first);
    expect(lanes.takeTurn(NOW)).toHaveLength(3);
  });

  test('a ticket that comes while an earlier one is being claimed is not lost', () => {
    const [ticket] = tickets('a', 1) as [Ticket];
    const again = { ...ticket };
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [ticket]);
    lanes.takeTurn(NOW);
    expect(lanes.offer(again)).toBe(true);
    expect(lanes.forget(ticket)).toBe(again);
  });

  test('a ticket that comes once is handed out once', () => {
    const [ticket] = tickets('a', 1) as [Ticket];
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [ticket]);
    lanes.takeTurn(NOW);
    expect(lanes.forget(ticket)).toBeUndefined();
  });
});
