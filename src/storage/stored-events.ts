import type { Ticket } from '../core/ticket.ts';
import type { KEY_TAKEN, NewEvent, StoredEvent } from './statements.ts';

export type FanOutRow = Ticket & { readonly eventId: string };
type Refused = typeof KEY_TAKEN | undefined;

/**
 * What became of each event of a batch, in the batch's order.
 *
 * @param refusals by the places of those that were not stored.
 */
export function storedEvents(
  events: readonly NewEvent[],
  fanOut: readonly FanOutRow[],
  refusals: ReadonlyMap<number, Refused>,
): (StoredEvent | Refused)[] {
  const fanOuts = Map.groupBy(fanOut, ({ eventId }) => eventId);
  return events.map(({ id }, place) =>
    refusals.has(place) ? refusals.get(place) : { tickets: (fanOuts.get(id) ?? []).map(toTicket) },
  );
}

function toTicket({ deliveryId, destinationId, accountId, attempt }: FanOutRow): Ticket {
  return { deliveryId, destinationId, accountId, attempt };
}
