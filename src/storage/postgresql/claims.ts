import { sql } from 'kysely';
import type { SealedDelivery, Statements } from '../statements.ts';

type ClaimedRow = Omit<SealedDelivery, 'leasedUntil' | 'attemptInRound'> & { readonly roundStart: number };

/**
 * Waits for rows that are locked, because not all who lock one take it: a sweep locks a row before it sees that
 * another worker has just taken it. Passed over, the ticket would be lost until its visibility time is over.
 */
export const CLAIMS: Statements['claims'] = {
  statements(requests) {
    const tickets = JSON.stringify(
      requests.map(({ ticket, leasedUntil }) => ({
        id: ticket.deliveryId,
        attempt: ticket.attempt,
        leased_until: leasedUntil,
      })),
    );
    return [
      sql`
        with ticket as (
          select distinct on (id) * from json_to_recordset(${tickets}::json) as t (id uuid, attempt int, leased_until bigint)
        ), free as (
          select d.id, t.leased_until from delivery d join ticket t on t.id = d.id and t.attempt = d.attempt_count
            join destination x on x.id = d.destination_id and x.disabled_at is null
          where d.status = 'PENDING' order by d.id for update of d
        ), claimed as (
          update delivery d
          set due_at = to_timestamp(f.leased_until / 1000.0), attempt_count = d.attempt_count + 1
          from free f where d.id = f.id
          returning d.id, d.attempt_count, d.round_start, d.event_id, d.destination_id
        )
        select c.id as "deliveryId", c.attempt_count as "attempt", c.round_start as "roundStart",
               c.event_id as "eventId", c.destination_id as "destinationId",
               e.payload, x.url, x.http_method as "httpMethod",
               x.account_id as "accountId", x.sealed_headers as "sealedHeaders",
               x.sealed_signing_secret as "sealedSigningSecret", x.sealed_previous_secret as "sealedPreviousSecret",
               (extract(epoch from x.previous_secret_until) * 1000)::float8 as "previousSecretUntil"
        from claimed c join event e on e.id = c.event_id join destination x on x.id = c.destination_id`,
    ];
  },

  results(requests, [rows = []]) {
    const byId = new Map((rows as readonly ClaimedRow[]).map((row) => [row.deliveryId, row]));
    return requests.map(({ ticket, leasedUntil }) => {
      const row = byId.get(ticket.deliveryId);
      byId.delete(ticket.deliveryId);
      return row && toClaimed(row, leasedUntil);
    });
  },
};

function toClaimed({ roundStart, ...row }: ClaimedRow, leasedUntil: number): SealedDelivery {
  return { ...row, attemptInRound: row.attempt - roundStart, leasedUntil };
}
