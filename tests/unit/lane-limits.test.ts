import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import type { Leased } from '../../src/dispatch/deliver.ts';
import { claimOf, laneOf, NOW, perLane, schedulerWith, tickets } from '../support/scheduling.ts';

describe('the limits of a lane', () => {
  test('learns from claims how many requests a destination allows, and gives the others back', async () => {
    const bounds = { maxConcurrency: 8, maxConcurrencyPerDestination: 4, threads: 1 };
    const scheduler = schedulerWith(bounds, tickets('a', 20));
    const { tickets: picked } = scheduler.pick(NOW);
    expect(picked).toHaveLength(4);
    const lane = laneOf(scheduler, 'a');
    const givenBack: number[] = [];
    for (const { ticket } of picked) {
      givenBack.push(scheduler.claimAnswered(lane, 1, [await claimOf(ticket, 2)]).length);
      scheduler.begin(lane, NOW);
    }
    expect(givenBack).toEqual([0, 0, 1, 1]);
    expect(lane).toMatchObject({ active: 2, ready: [] });
    expect(perLane(scheduler.pick(NOW))).toEqual({});
  });

  test('remembers the limit of a destination that had nothing for a while, and learns a higher one', async () => {
    const bounds = { maxConcurrency: 8, maxConcurrencyPerDestination: 4, threads: 1 };
    const scheduler = schedulerWith(bounds, tickets('a', 1));
    const learn = async (maxConcurrency: number) => {
      const [pick] = scheduler.pick(NOW).tickets;
      const lane = laneOf(scheduler, 'a');
      scheduler.claimAnswered(lane, 1, [await claimOf(pick?.ticket as Ticket, maxConcurrency)]);
      scheduler.end(lane, scheduler.begin(lane, NOW) as Leased, NOW);
      expect(scheduler.lane('a')).toBeUndefined();
    };
    await learn(1);
    const [first, second] = tickets('a', 2, 'a', 1) as [Ticket, Ticket];
    scheduler.offer(first);
    scheduler.offer(second);
    expect(laneOf(scheduler, 'a').slotsMax).toBe(1);
    scheduler.clear();
    scheduler.offer(first);
    await learn(100);
    scheduler.offer(first);
    expect(laneOf(scheduler, 'a').slotsMax).toBe(bounds.maxConcurrency);
  });
});
