import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import type { Lane, Rescue } from '../../src/dispatch/lanes.ts';
import { Scheduler } from '../../src/dispatch/scheduler.ts';
import { claimOf, laneOf, NOW, perLane, release, schedulerWith, tickets } from '../support/scheduling.ts';

describe('the scheduler', () => {
  test('gives no destination more than its bound, and all together no more than theirs', () => {
    const bounds = { maxConcurrency: 7, maxConcurrencyPerDestination: 3, threads: 1 };
    const scheduler = schedulerWith(bounds, [...tickets('a', 20), ...tickets('b', 20), ...tickets('c', 20)]);
    expect(perLane(scheduler.pick(NOW))).toEqual({ a: 3, b: 2, c: 2 });
    expect(perLane(scheduler.pick(NOW))).toEqual({});
  });

  test('leaves the slots of the others alone when a destination hangs', () => {
    const scheduler = schedulerWith(
      { maxConcurrency: 7, maxConcurrencyPerDestination: 3, threads: 1 },
      tickets('dead', 100),
    );
    scheduler.pick(NOW);
    for (const ticket of tickets('live', 100)) {
      scheduler.offer(ticket);
    }
    expect(perLane(scheduler.pick(NOW))).toEqual({ live: 3 });
  });

  test('begins no more at the same time than a thread can send soon, and leaves room for other accounts', async () => {
    const bounds = { maxConcurrency: 256, maxConcurrencyPerDestination: 32, threads: 1 };
    const ids = Array.from({ length: 20 }, (_, index) => `d-${index}`);
    const scheduler = schedulerWith(
      bounds,
      ids.flatMap((id) => tickets(id, 32, 'busy')),
    );
    const first = scheduler.pick(NOW);
    expect(first.tickets).toHaveLength(52);
    for (const { lane, ticket } of first.tickets) {
      scheduler.claimAnswered(lane, 1, [await claimOf(ticket, bounds.maxConcurrencyPerDestination)]);
      expect(scheduler.begin(lane, NOW)?.delivery.deliveryId).toBe(ticket.deliveryId);
    }
    expect(scheduler.pick(NOW + 20)).toMatchObject({ tickets: [], heldBackFor: 30 });
    scheduler.offer(tickets('quiet', 1)[0] as Ticket);
    expect(perLane(scheduler.pick(NOW + 20))).toEqual({ quiet: 1 });
    expect(scheduler.pick(NOW + 50).tickets).toHaveLength(51);
  });

  test('claims ahead only for a destination that has lately finished something', () => {
    const scheduler = schedulerWith(
      { maxConcurrency: 8, maxConcurrencyPerDestination: 2, threads: 1 },
      tickets('a', 100),
    );
    expect(perLane(scheduler.pick(NOW))).toEqual({ a: 2 });
    expect(perLane(scheduler.pick(NOW))).toEqual({});
    laneOf(scheduler, 'a').lastFinishedAt = NOW - 10;
    expect(perLane(scheduler.pick(NOW))).toEqual({ a: 32 });
    expect(perLane(scheduler.pick(NOW))).toEqual({});
  });

  test('drops tickets that do not fit, and looks in the store for their deliveries when the others are claimed', () => {
    const bounds = { maxConcurrency: 1_000, maxConcurrencyPerDestination: 1_000, threads: 20 };
    const scheduler = schedulerWith(bounds, tickets('a', 100_000));
    const { tickets: taken, lookUps } = scheduler.pick(NOW);
    expect(taken).toHaveLength(512);
    expect(lookUps).toEqual([{ lane: laneOf(scheduler, 'a'), limit: 363 }]);
  });

  test('takes no more tickets of a destination while it looks in the store, so that the oldest go first', () => {
    const scheduler = new Scheduler({ maxConcurrency: 8, maxConcurrencyPerDestination: 4, threads: 1 });
    scheduler.offerLane({ destinationId: 'a', accountId: 'a' }, 'fresh', false);
    scheduler.offer(tickets('a', 1)[0] as Ticket);
    const nothing = { tickets: [], lookUps: [], rescues: [] };
    expect(scheduler.pick(NOW)).toEqual({ ...nothing, lookUps: [{ lane: laneOf(scheduler, 'a'), limit: 4 }] });
    expect(scheduler.pick(NOW)).toEqual(nothing);
  });

  test('goes on where the last look-up ended, until nothing is left, and remembers the place', () => {
    const scheduler = new Scheduler({ maxConcurrency: 8, maxConcurrencyPerDestination: 4, threads: 1 });
    /** @returns where the look-up begins; `undefined` when there is none. */
    const look = (lastDueAt: number | undefined) => {
      const [found] = scheduler.pick(NOW).lookUps;
      if (found !== undefined) {
        const { cursor } = found.lane;
        scheduler.lookedUp(found.lane, lastDueAt);
        release(scheduler, found.lane, found.limit);
        return cursor;
      }
      return undefined;
    };
    const lane = { destinationId: 'a', accountId: 'a' };
    scheduler.offerLane(lane, 'fresh', false);
    expect([look(5_000), look(undefined), look(undefined)]).toEqual([0, 4_750, undefined]);
    expect([...scheduler.lanes]).toEqual([]);
    scheduler.offerLane(lane, 'fresh', false);
    expect([look(undefined), look(undefined)]).toEqual([4_750, undefined]);
    scheduler.offerLane(lane, 'retries', true);
    expect([look(undefined), look(undefined)]).toEqual([0, undefined]);
  });

  test('looks again for what has come while it looked', () => {
    const scheduler = new Scheduler({ maxConcurrency: 8, maxConcurrencyPerDestination: 4, threads: 1 });
    scheduler.offerLane({ destinationId: 'a', accountId: 'a' }, 'fresh', false);
    const [first] = scheduler.pick(NOW).lookUps;
    scheduler.offer(tickets('a', 1)[0] as Ticket);
    scheduler.lookedUp(first?.lane as Lane, undefined);
    release(scheduler, first?.lane as Lane, first?.limit);
    expect(scheduler.pick(NOW).lookUps).toHaveLength(1);
  });

  test('does not let destinations that fill the memory lock the others out', () => {
    const full = Array.from({ length: 40 }, (_, index) => tickets(`full-${index}`, 1_000)).flat();
    const bounds = { maxConcurrency: 1, maxConcurrencyPerDestination: 1, threads: 1 };
    const scheduler = schedulerWith(bounds, [...full, ...tickets('late', 1_000)]);
    expect(laneOf(scheduler, 'late').tickets.fresh).toHaveLength(16);
  });

  test('lets accounts take turns, however many destinations one of them has', () => {
    const hot = Array.from({ length: 20 }, (_, index) => tickets(`hot-${index}`, 100, 'hot')).flat();
    const scheduler = schedulerWith({ maxConcurrency: 7, maxConcurrencyPerDestination: 2, threads: 1 }, [
      ...hot,
      ...tickets('b', 100),
      ...tickets('c', 100),
    ]);
    expect(perLane(scheduler.pick(NOW))).toMatchObject({ b: 2, c: 2 });
  });

  test.each(['with tickets', 'in the store'])(
    'gives slots that fall free one by one to the accounts in turn, and within them to the destinations (%s)',
    (where) => {
      const scheduler = new Scheduler({ maxConcurrency: 1, maxConcurrencyPerDestination: 1, threads: 1 });
      const offered = [...tickets('hot-1', 4, 'hot'), ...tickets('hot-2', 4, 'hot'), ...tickets('b', 4)];
      for (const ticket of offered) {
        if (where === 'with tickets') {
          scheduler.offer(ticket);
        } else {
          scheduler.offerLane(ticket, 'fresh', true);
        }
      }
      const served: string[] = [];
      for (let slot = 0; slot < 8; slot += 1) {
        const { tickets: taken, lookUps } = scheduler.pick(NOW);
        for (const { lane } of [...taken, ...lookUps]) {
          served.push(lane.destinationId);
          lane.isLookingUp = false;
          release(scheduler, lane);
        }
      }
      expect(served).toEqual(['hot-1', 'b', 'hot-2', 'b', 'hot-1', 'b', 'hot-2', 'b']);
    },
  );

  test('serves first attempts before retries, of the same destination and of its account', () => {
    const scheduler = schedulerWith({ maxConcurrency: 6, maxConcurrencyPerDestination: 4, threads: 1 }, [
      ...tickets('failing', 100, 'account', 3),
      ...tickets('failing', 2, 'account'),
      ...tickets('sound', 3, 'account'),
    ]);
    const taken = scheduler.pick(NOW).tickets.map(({ ticket }) => ticket.attempt);
    expect(taken).toEqual([0, 0, 0, 0, 0, 3]);
  });

  test('does not let an account whose destinations all hang take every slot', () => {
    const hanging = Array.from({ length: 40 }, (_, index) => tickets(`dead-${index}`, 100, 'dead')).flat();
    const scheduler = schedulerWith({ maxConcurrency: 64, maxConcurrencyPerDestination: 16, threads: 2 }, hanging);
    expect(scheduler.pick(NOW).tickets).toHaveLength(56);
    for (const ticket of tickets('live', 100)) {
      scheduler.offer(ticket);
    }
    expect(perLane(scheduler.pick(NOW))).toEqual({ live: 8 });
  });

  test('keeps room for first attempts in a lane that is full of retries', () => {
    const scheduler = schedulerWith({ maxConcurrency: 1, maxConcurrencyPerDestination: 1, threads: 1 }, [
      ...tickets('a', 512, 'a', 2),
      ...tickets('a', 512),
    ]);
    expect(laneOf(scheduler, 'a').tickets.retries).toHaveLength(512);
    expect(laneOf(scheduler, 'a').tickets.fresh).toHaveLength(512);
  });

  test('tries what was lost once a few at a time, and then what was lost again one by one', () => {
    const scheduler = new Scheduler({ maxConcurrency: 32, maxConcurrencyPerDestination: 32, threads: 1 });
    scheduler.offerLost({ destinationId: 'again', accountId: 'b' }, 3);
    scheduler.offerLost({ destinationId: 'less', accountId: 'c' }, 2);
    scheduler.offerLost({ destinationId: 'once', accountId: 'a' }, 0);
    const rescue = () => scheduler.pick(NOW).rescues.map((one) => Object.assign(one, { id: one.lane.destinationId }));
    // As long as something is found, the next is asked for, up to eight at the same time.
    for (let count = 0; count < 8; count += 1) {
      const [one, ...more] = rescue();
      expect([one?.id, one?.isAlone, more]).toEqual(['once', false, []]);
      scheduler.rescued(one as Rescue, true);
    }
    expect(rescue()).toEqual([]);
    scheduler.rescueEnded();
    const [last] = rescue();
    scheduler.rescued(last as Rescue, false);
    for (let count = 0; count < 8; count += 1) {
      expect(rescue()).toEqual([]);
      scheduler.rescueEnded();
    }
    for (const id of ['once', 'less', 'again']) {
      const [alone, ...more] = rescue();
      expect([alone?.id, alone?.isAlone, more]).toEqual([id, true, []]);
      scheduler.rescued(alone as Rescue, false);
      expect(rescue()).toEqual([]);
      scheduler.rescueEnded();
    }
    expect(rescue()).toEqual([]);
  });

  test('forgets a destination of which nothing is left', () => {
    const scheduler = schedulerWith(
      { maxConcurrency: 8, maxConcurrencyPerDestination: 8, threads: 1 },
      tickets('a', 3),
    );
    const lane = laneOf(scheduler, 'a');
    scheduler.pick(NOW);
    release(scheduler, lane, 3);
    expect([...scheduler.lanes]).toEqual([]);
    scheduler.offer(tickets('a', 1)[0] as Ticket);
    expect(scheduler.pick(NOW).tickets).toHaveLength(1);
  });
});
