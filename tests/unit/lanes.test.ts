import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/ticket.ts';
import { Lanes } from '../../src/dispatch/lanes.ts';

const NOW = 1_000_000;

function tickets(destinationId: string, count: number): Ticket[] {
  return Array.from({ length: count }, (_, index) => ({
    deliveryId: `${destinationId}-${index}`,
    destinationId,
    attempt: 0,
  }));
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
    const bounds = { maxConcurrency: 10, maxConcurrencyPerDestination: 4 };
    const lanes = lanesWith(bounds, [...tickets('a', 20), ...tickets('b', 20), ...tickets('c', 20)]);
    expect(perLane(lanes.takeTurn(NOW))).toEqual({ a: 4, b: 3, c: 3 });
    expect(lanes.takeTurn(NOW)).toEqual([]);
  });

  test('a destination that hangs leaves the slots of the others alone', () => {
    const bounds = { maxConcurrency: 8, maxConcurrencyPerDestination: 4 };
    const lanes = lanesWith(bounds, tickets('dead', 100));
    lanes.takeTurn(NOW);
    for (const ticket of tickets('live', 100)) {
      lanes.offer(ticket);
    }
    expect(perLane(lanes.takeTurn(NOW))).toEqual({ live: 4 });
  });

  test('claims are made ahead only for a destination that has lately finished something', () => {
    const bounds = { maxConcurrency: 8, maxConcurrencyPerDestination: 2 };
    const lanes = lanesWith(bounds, tickets('a', 100));
    expect(lanes.takeTurn(NOW)).toHaveLength(2);
    expect(lanes.takeTurn(NOW)).toHaveLength(0);
    lanes.of('a').lastFinishedAt = NOW - 10;
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
    expect(lanes.of('a').tickets).toHaveLength(512);
    expect(lanes.toRefill()).toEqual([]);
    lanes.takeTurn(NOW);
    expect(lanes.toRefill()).toEqual([lanes.of('a')]);
  });

  test('destinations that fill the memory do not lock the others out', () => {
    const full = Array.from({ length: 40 }, (_, index) => tickets(`full-${index}`, 1_000)).flat();
    const lanes = lanesWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1 }, [
      ...full,
      ...tickets('late', 1_000),
    ]);
    expect(lanes.of('late').tickets).toHaveLength(16);
  });

  test('an idle lane that is dropped twice does not take its successor along', () => {
    const lanes = lanesWith({ maxConcurrency: 8, maxConcurrencyPerDestination: 8 }, []);
    const first = lanes.of('a');
    lanes.dropIfIdle(first);
    for (const ticket of tickets('a', 3)) {
      lanes.offer(ticket);
    }
    lanes.dropIfIdle(first);
    expect(lanes.takeTurn(NOW)).toHaveLength(3);
  });
});
