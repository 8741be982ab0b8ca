import { sql } from 'kysely';
import type { HeaderEntry, HttpMethod } from '../core/destination-input.ts';
import type { Ticket } from '../core/ticket.ts';
import type { Transaction } from './commit-line.ts';
import type { ClaimedDelivery } from './delivery-store.ts';

export interface ClaimRequest {
  readonly ticket: Ticket;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly leasedUntil: number;
}

interface ClaimedRow {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly roundStart: number;
  readonly leasedUntil: number;
  readonly eventId: string;
  readonly payload: Buffer;
  readonly destinationId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: string;
}

/**
 * Leases the deliveries and begins their next attempt. The attempt number guards the claim: of all who hold
 * a ticket for the same attempt, one gets it.
 */
export async function claimDeliveries(
  transaction: Transaction,
  requests: readonly ClaimRequest[],
): Promise<(ClaimedDelivery | undefined)[]> {
  if (requests.length === 0) {
    return [];
  }
  const tickets = JSON.stringify(
    requests.map(({ ticket, leasedUntil }) => [ticket.deliveryId, ticket.attempt, leasedUntil]),
  );
  const { rows: claimed } = await sql<{ id: string }>`
    update delivery set due_at = t.value ->> 2, attempt_count = attempt_count + 1
    from json_each(${tickets}) t
    where delivery.id = t.value ->> 0 and attempt_count = t.value ->> 1 and status = 'PENDING'
    returning delivery.id`.execute(transaction);
  const { rows } = await sql<ClaimedRow>`
    select d.id as "deliveryId", d.attempt_count as "attempt", d.round_start as "roundStart", d.due_at as "leasedUntil",
           e.id as "eventId", e.payload, x.id as "destinationId", x.url, x.http_method as "httpMethod", x.headers
    from json_each(${JSON.stringify(claimed.map(({ id }) => id))}) t
      cross join delivery d on d.id = t.value
      cross join event e on e.id = d.event_id
      cross join destination x on x.id = d.destination_id`.execute(transaction);
  const byId = new Map(rows.map((row) => [row.deliveryId, row]));
  return requests.map(({ ticket }) => {
    const row = byId.get(ticket.deliveryId);
    byId.delete(ticket.deliveryId);
    return row && toClaimed(row);
  });
}

function toClaimed({ headers, roundStart, ...row }: ClaimedRow): ClaimedDelivery {
  return { ...row, attemptInRound: row.attempt - roundStart, headers: JSON.parse(headers) as HeaderEntry[] };
}
