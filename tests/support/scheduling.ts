import type { Ticket } from '../../src/core/delivery.ts';
import { withDefaults } from '../../src/core/delivery-policy.ts';
import type { Leased } from '../../src/dispatch/deliver.ts';
import type { Lane } from '../../src/dispatch/lanes.ts';
import type { Picks } from '../../src/dispatch/picks.ts';
import { type Bounds, Scheduler } from '../../src/dispatch/scheduler.ts';
import { ModelStore } from './model-store.ts';
import { firstClaimed } from './store-fixture.ts';

export const NOW = 1_000_000;

/** Of an account of its own, unless one is named. */
export function tickets(destinationId: string, count: number, accountId = destinationId, attempt = 0): Ticket[] {
  return Array.from({ length: count }, (_, index) => ({
    deliveryId: `${destinationId}-${attempt}-${index}`,
    destinationId,
    accountId,
    attempt,
  }));
}

export function schedulerWith(bounds: Bounds, offered: Ticket[]): Scheduler {
  const scheduler = new Scheduler(bounds);
  for (const ticket of offered) {
    scheduler.offer(ticket);
  }
  return scheduler;
}

export function laneOf(scheduler: Scheduler, id: string): Lane {
  const lane = [...scheduler.lanes].find(({ destinationId }) => destinationId === id);
  if (lane === undefined) {
    throw new Error(`There is no lane ${id}.`);
  }
  return lane;
}

/** How many slots each destination has got. */
export function perLane({ tickets: taken, lookUps }: Picks): Record<string, number> {
  const slots: Record<string, number> = {};
  for (const { lane } of taken) {
    slots[lane.destinationId] = (slots[lane.destinationId] ?? 0) + 1;
  }
  for (const { lane, limit } of lookUps) {
    slots[lane.destinationId] = (slots[lane.destinationId] ?? 0) + limit;
  }
  return slots;
}

export function release(scheduler: Scheduler, lane: Lane, count = 1): void {
  scheduler.claimAnswered(lane, count, []);
}

export async function claimOf({ destinationId, accountId, deliveryId }: Ticket, maxConcurrency = 100): Promise<Leased> {
  const store = new ModelStore(
    () => NOW,
    async (operation) => operation(),
  );
  const ticket = { destinationId, accountId, deliveryId, attempt: 0 };
  store.insert(ticket);
  const delivery = await firstClaimed(store.claim({ ticket, leaseMs: 60_000, blame: 1 }));
  if (delivery === undefined) {
    throw new Error('The delivery was not claimed.');
  }
  const defaults = { timeoutMs: 15_000, retrySchedule: [], maxConcurrency };
  return { delivery, policy: withDefaults(delivery.policy, defaults), leaseUntil: NOW + 60_000 };
}
