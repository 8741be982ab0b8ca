import type { Ticket } from '../../src/core/delivery.ts';
import type { FoundLane } from '../../src/storage/searches.ts';
import type { AttemptRecord, Blame, ClaimedDelivery } from '../../src/storage/statements.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { DELIVERED, firstClaimed, NOW } from '../support/store-fixture.ts';

const LEASE_MS = 45_000;
/** A lease that has run out when it begins. */
export const OVER = -1;
export const SUCCEEDED = { status: 'SUCCEEDED', retryInMs: null, completedAt: NOW + 12 } as const;
export const FAILED = { ...DELIVERED, statusCode: 500, error: 'HTTP_STATUS' } as const;

export function retryIn(retryInMs: number): AttemptRecord['state'] {
  return { status: 'PENDING', retryInMs, completedAt: null };
}

/** The steps of a worker, with what most tests leave at its usual value. */
export function deliveryActions(store: { readonly storage: Storage }) {
  const lanesBy = async <Value>(graceMs: number, valueOf: (lane: FoundLane) => Value) => {
    const lanes = await store.storage.deliveries.findLanes({ after: '', limit: 100, graceMs });
    return Object.fromEntries(lanes.map((lane) => [lane.destinationId, valueOf(lane)]));
  };
  return {
    claim: (ticket: Ticket, leaseMs = LEASE_MS, blame: Blame = 1) =>
      firstClaimed(store.storage.deliveries.claim({ ticket, leaseMs, blame })),
    claimLane: async (destinationId: string, limit = 100, from = 0) =>
      (await store.storage.deliveries.claimLane({ destinationId, limit, from, leaseMs: LEASE_MS, blame: 1 })).claimed,
    claimLost: (destinationId: string, lostMost = 100, leaseMs = LEASE_MS, blame: Blame = 1) =>
      firstClaimed(store.storage.deliveries.claimLost({ destinationId, lostMost, leaseMs, blame })),
    record: async (
      { deliveryId, attempt, destinationVersion, place }: ClaimedDelivery,
      outcome: AttemptRecord['outcome'] = DELIVERED,
      state: AttemptRecord['state'] = SUCCEEDED,
    ) =>
      (await store.storage.deliveries.record({ deliveryId, attempt, destinationVersion, outcome, state, place }))
        .isRecorded,
    /** What is due, by destination. */
    lanes: (graceMs = 0) => lanesBy(graceMs, ({ due }) => due),
    /** The lowest count of lost attempts, by destination. */
    lost: () => lanesBy(0, ({ lost }) => lost),
  };
}
