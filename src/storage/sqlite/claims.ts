import { sql } from 'kysely';
import type { HttpMethod } from '../../core/destination-input.ts';
import type { SealedDelivery, Statements } from '../statements.ts';

interface ClaimedRow {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly roundStart: number;
  readonly leasedUntil: number;
  readonly eventId: string;
  readonly payload: Buffer;
  readonly destinationId: string;
  /** Of the destination, as a JSON list. */
  readonly target: string;
}

type Target = [
  url: string,
  httpMethod: HttpMethod,
  accountId: string,
  sealedHeaders: string,
  sealedSigningSecret: string,
  sealedPreviousSecret: string | null,
  previousSecretUntil: number | null,
];

export const CLAIMS: Statements['claims'] = {
  statements(requests) {
    const tickets = JSON.stringify(
      requests.map(({ ticket, leasedUntil }) => [ticket.deliveryId, ticket.attempt, leasedUntil]),
    );
    return [
      sql`
        update delivery set due_at = t.value ->> 2, attempt_count = attempt_count + 1
        from json_each(${tickets}) t
        where delivery.id = t.value ->> 0 and attempt_count = t.value ->> 1 and status = 'PENDING'
          and (select disabled_at from destination where id = destination_id) is null
        returning delivery.id as "deliveryId", attempt_count as "attempt", round_start as "roundStart",
          due_at as "leasedUntil", event_id as "eventId", destination_id as "destinationId",
          (select payload from event where id = event_id) as "payload",
          (select json_array(url, http_method, account_id, sealed_headers, sealed_signing_secret, sealed_previous_secret,
             previous_secret_until) from destination where id = destination_id) as "target"`,
    ];
  },

  results(requests, [rows = []]) {
    const byId = new Map((rows as ClaimedRow[]).map((row) => [row.deliveryId, row]));
    return requests.map(({ ticket }) => {
      const row = byId.get(ticket.deliveryId);
      byId.delete(ticket.deliveryId);
      return row && toClaimed(row);
    });
  },
};

function toClaimed({ target, roundStart, ...row }: ClaimedRow): SealedDelivery {
  const [url, httpMethod, accountId, sealedHeaders, sealedSigningSecret, sealedPreviousSecret, previousSecretUntil] =
    JSON.parse(target) as Target;
  return {
    ...row,
    attemptInRound: row.attempt - roundStart,
    url,
    httpMethod,
    accountId,
    sealedHeaders,
    sealedSigningSecret,
    sealedPreviousSecret,
    previousSecretUntil,
  };
}
