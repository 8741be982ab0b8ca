import { deliveryIdOf } from '../core/ids.ts';
import { KEY_TAKEN, type NewEvent, type StoredEvent } from './statements.ts';

/** Where the events of one account went, in the order in which their deliveries are numbered. */
export interface FanOut {
  readonly accountId: string;
  readonly destinationIds: readonly string[];
}

/**
 * What became of each event of a batch, in the batch's order.
 *
 * @param fanOuts by the hash of the account's token; one that is not among them is unknown
 * @param taken the places of events whose idempotency key another event has
 */
export function storedEvents(
  events: readonly NewEvent[],
  fanOuts: ReadonlyMap<string, FanOut>,
  taken: ReadonlySet<number>,
): (StoredEvent | typeof KEY_TAKEN | undefined)[] {
  return events.map(({ id, tokenHash }, place) => {
    const fanOut = fanOuts.get(tokenHash);
    if (fanOut === undefined) {
      return undefined;
    }
    return taken.has(place) ? KEY_TAKEN : { tickets: ticketsOf(id, fanOut) };
  });
}

function ticketsOf(eventId: string, { accountId, destinationIds }: FanOut): StoredEvent['tickets'] {
  return destinationIds.map((destinationId, index) => ({
    deliveryId: deliveryIdOf(eventId, index + 1),
    destinationId,
    accountId,
    attempt: 0,
  }));
}
