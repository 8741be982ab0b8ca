import { type RawBuilder, sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import type { HttpMethod } from '../../core/inputs.ts';
import {
  INLINE_PAYLOAD_BYTES_MAX,
  LOST_AMONG_MAX,
  LOST_COUNT_MAX,
  type SealedDelivery,
  type Statements,
} from '../statements.ts';

interface ClaimedRow {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly cycleStart: number;
  readonly lostCount: number;
  readonly dueAt: number;
  readonly eventId: string;
  readonly payloadLength: number;
  readonly payload: Buffer | null;
  readonly hops: number;
  readonly destinationId: string;
  /** Of the destination, as a JSON list. */
  readonly target: string;
}

type Target = [
  version: number,
  url: string,
  httpMethod: HttpMethod,
  accountId: string,
  sealedHeaders: string,
  sealedSigningSecret: string,
  sealedPreviousSecret: string | null,
  previousSecretUntil: number | null,
];

export const claimsBy = (clock: Clock): Statements['claims'] => ({
  statements(requests) {
    const now = clock.now();
    const tickets = JSON.stringify(
      requests.map(({ ticket, leaseMs, blame }) => [ticket.deliveryId, ticket.attempt, now + leaseMs, blame]),
    );
    return [
      sql`
        update queue set ${taken(sql`t.value ->> 2`, sql`t.value ->> 3`)}
        from json_each(${tickets}) t
        where delivery_id = t.value ->> 0 and attempt_count = t.value ->> 1
          and leased_until is null
          and (select disabled_at from destination where id = destination_id) is null
        ${RETURNING}`,
    ];
  },

  results(requests, [rows = []]) {
    const byId = new Map((rows as ClaimedRow[]).map((row) => [row.deliveryId, row]));
    return requests.map(({ ticket }) => {
      const row = byId.get(ticket.deliveryId);
      byId.delete(ticket.deliveryId);
      return row && toSealed(row);
    });
  },
});

/** A statement for each destination, because a limit must be known when a statement begins; all in one transaction. */
export const laneClaimsBy = (clock: Clock): Statements['laneClaims'] => ({
  statements(requests) {
    const now = clock.now();
    return requests.map(
      ({ destinationId, limit, from, leaseMs, blame }) => sql`
        update queue set ${taken(sql`${now + leaseMs}`, sql`${blame}`)}
        where delivery_id in (
          select q.delivery_id from destination x cross join queue q on q.destination_id = x.id
          where x.id = ${destinationId} and x.disabled_at is null and q.due_at >= ${from} and q.due_at <= ${now}
            and q.leased_until is null
          order by q.due_at limit ${limit}
        )
        ${RETURNING}`,
    );
  },

  results: (requests, answers) =>
    requests.map((_, place) =>
      ((answers[place] ?? []) as ClaimedRow[]).toSorted((a, b) => a.dueAt - b.dueAt).map(toSealed),
    ),
});

export const lostClaimsBy = (clock: Clock): Statements['lostClaims'] => ({
  statements(requests) {
    const now = clock.now();
    return requests.map(
      ({ destinationId, lostMost, leaseMs, blame }) => sql`
        update queue set ${taken(sql`${now + leaseMs}`, sql`${blame}`)}
        where delivery_id in (
          select delivery_id from (
            select q.delivery_id, q.leased_until, q.lost_count, q.due_at
            from destination x cross join queue q on q.destination_id = x.id
            where x.id = ${destinationId} and x.disabled_at is null and q.due_at <= ${now}
            order by q.due_at limit ${sql.lit(LOST_AMONG_MAX)}
          )
          where leased_until <= ${now} and lost_count <= ${lostMost} order by lost_count, due_at limit 1
        )
        ${RETURNING}`,
    );
  },

  results: (requests, answers) =>
    requests.map((_, place) => {
      const [row] = (answers[place] ?? []) as ClaimedRow[];
      return row && toSealed(row);
    }),
});

/** What a claim writes; the right side of each assignment sees the row as it was. */
function taken(leasedUntil: RawBuilder<unknown>, blame: RawBuilder<unknown>) {
  return sql`
          leased_until = ${leasedUntil},
          attempt_count = attempt_count
            + (leased_until is null or lost_count + lease_blame < ${sql.lit(LOST_COUNT_MAX)}),
          lost_count = lost_count + iif(leased_until is null, 0, lease_blame),
          lease_blame = ${blame}`;
}

const RETURNING = sql`
        returning delivery_id as "deliveryId", attempt_count as "attempt", round_start as "cycleStart",
          lost_count as "lostCount", due_at as "dueAt", event_id as "eventId", destination_id as "destinationId",
          (select length(payload) from event where id = event_id) as "payloadLength",
          (select payload from event where id = event_id and length(payload) <= ${sql.lit(INLINE_PAYLOAD_BYTES_MAX)})
            as "payload",
          (select hops from event where id = event_id) as "hops",
          (select json_array(version, url, http_method, account_id, sealed_headers, sealed_signing_secret,
             sealed_previous_secret, previous_secret_until) from destination where id = destination_id) as "target"`;

function toSealed({ target, cycleStart, ...row }: ClaimedRow): SealedDelivery {
  const [version, url, httpMethod, accountId, sealedHeaders, sealedSigningSecret, sealedPreviousSecret, until] =
    JSON.parse(target) as Target;
  return {
    ...row,
    attemptInCycle: row.attempt - cycleStart,
    destinationVersion: version,
    url,
    httpMethod,
    accountId,
    sealedHeaders,
    sealedSigningSecret,
    sealedPreviousSecret,
    previousSecretUntil: until,
  };
}
