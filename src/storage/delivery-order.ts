import type { DeliveryState } from '../core/delivery.ts';

/**
 * Deliveries of one destination with the same order key go one at a time, in the order of their numbers. Numbers are
 * given under the lock of the account's row, so they are in the order of the commits.
 *
 * The head of a key is its delivery with the lowest number that is still in the queue. Only heads are claimed. The others
 * are parked: their due time is so far away that nothing looks at them. In every committed state:
 *
 *   A parked delivery is not the head of its key. (1)
 *   A delivery that has been claimed is the head of its key, until it leaves the queue. (2)
 *
 * SQLite has one writer. A delivery is stored due if it is the head, and parked if it is not. What removes a head wakes its
 * successor in the same transaction.
 *
 * On PostgreSQL, a delivery may be stored due because the statement does not see a predecessor that has just committed.
 * Claims look again. A statement that sees a delivery sees all predecessors that are left, because they have committed
 * before it, and none comes later: a manual retry has no key. So what is claimed is the head. (2)
 *
 * What parks a delivery, at its commit or at a claim, sees a predecessor and locks it (`for key share`) until the end of
 * the transaction. What removes the predecessor waits for that, and wakes the successor in a LATER statement of its
 * transaction, which sees what was parked meanwhile. If the predecessor is locked already, it may just be leaving. Then the
 * successor is neither claimed nor parked: it stays due, and is looked at again. By (2) only heads leave, one after the
 * other, and whatever becomes the head is woken. (1)
 *
 * Transactions that claim or store pass over locked rows of the queue and never wait for one. Those that record wait for
 * them. So they cannot deadlock. The rows of a deleted destination are removed in any order, but all of them.
 */

/** The due time of what is parked: the year 9999. Milliseconds since the Unix epoch. */
export const PARKED_UNTIL = Date.UTC(9999, 0, 1);

export function isParked(dueAt: Date): boolean {
  return dueAt.getTime() >= PARKED_UNTIL;
}

/** The place of a delivery in an order. */
export interface DeliveryPlace {
  readonly destinationId: string;
  readonly key: string;
  readonly number: number;
}

/** The places that finished deliveries leave. */
export function placesLeft(
  records: readonly { readonly place: DeliveryPlace | null; readonly state: Pick<DeliveryState, 'status'> }[],
): DeliveryPlace[] {
  return records.flatMap(({ place, state }) => (place !== null && state.status !== 'PENDING' ? [place] : []));
}

/** A delivery whose turn has come, because its predecessor has left the queue. */
export interface NextDelivery {
  readonly deliveryId: string;
  /** The number of attempts claimed so far. */
  readonly attempt: number;
  readonly destinationId: string;
  readonly key: string;
}

/** What a claim has found due at a destination and not claimed, because it has predecessors. */
export interface PassedOver {
  readonly destinationId: string;
  /** So many deliveries are parked now. */
  readonly parked: number;
  /** So many are as they were, because their predecessors were being recorded. They may be next in a moment. */
  readonly undecided: number;
}

/** Of a row of the queue. */
export function placeOf(destinationId: string, key: string | null, number: number | null): DeliveryPlace | null {
  return key === null || number === null ? null : { destinationId, key, number };
}
