import { type RawBuilder, sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import type { HttpMethod } from '../../core/inputs.ts';
import { type Statement, statement } from '../typed-statement.ts';
import {
  INLINE_PAYLOAD_BYTES_MAX,
  LOST_AMONG_MAX,
  LOST_COUNT_MAX,
  type SealedDelivery,
  type Statements,
} from '../statements.ts';

export const claimBy =
  (clock: Clock): Statements['claim'] =>
  (requests) => {
    const now = clock.now();
    const tickets = JSON.stringify(
      requests.map(({ ticket, leaseMs, blame }) => [ticket.deliveryId, ticket.attempt, now + leaseMs, blame]),
    );
    return lease(
      sql`t.value ->> 2`,
      sql`t.value ->> 3`,
      sql`
        from json_each(${tickets}) t
        where delivery_id = t.value ->> 0 and attempt_count = t.value ->> 1
          and leased_until is null
          and (select disabled_at from destination where id = destination_id) is null`,
    );
  };

/** One statement for each destination, because SQLite must know a limit when the statement begins. */
export const claimLanesBy =
  (clock: Clock): Statements['claimLanes'] =>
  (requests) => {
    const now = clock.now();
    return requests.map(({ destinationId, limit, from, leaseMs, blame }) =>
      lease(
        sql`${now + leaseMs}`,
        sql`${blame}`,
        sql`
        where delivery_id in (
          select q.delivery_id from destination x cross join queue q on q.destination_id = x.id
          where x.id = ${destinationId} and x.disabled_at is null and q.due_at >= ${from} and q.due_at <= ${now}
            and q.leased_until is null
          order by q.due_at limit ${limit}
        )`,
      ),
    );
  };

export const claimLostBy =
  (clock: Clock): Statements['claimLost'] =>
  (requests) => {
    const now = clock.now();
    return requests.map(({ destinationId, lostMost, leaseMs, blame }) =>
      lease(
        sql`${now + leaseMs}`,
        sql`${blame}`,
        sql`
        where delivery_id in (
          select delivery_id from (
            select q.delivery_id, q.leased_until, q.lost_count, q.due_at
            from destination x cross join queue q on q.destination_id = x.id
            where x.id = ${destinationId} and x.disabled_at is null and q.due_at <= ${now}
            order by q.due_at limit ${sql.lit(LOST_AMONG_MAX)}
          )
          where leased_until <= ${now} and lost_count <= ${lostMost} order by lost_count, due_at limit 1
        )`,
      ),
    );
  };

interface ClaimedColumns {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly cycleStart: number;
  readonly lostCount: number;
  readonly dueAt: number;
  readonly eventId: string;
  readonly payload: Buffer | null;
  /** An `EventColumns` as JSON. */
  readonly event: string;
  readonly destinationId: string;
  /** A `DestinationColumns` as JSON: one look-up instead of eight. */
  readonly destination: string;
}

type EventColumns = readonly [payloadLength: number, hops: number, eventType: string | null];

type DestinationColumns = readonly [
  version: number,
  url: string,
  httpMethod: HttpMethod,
  accountId: string,
  sealedHeaders: string,
  sealedSigningSecret: string,
  sealedPreviousSecret: string | null,
  previousSecretUntil: number | null,
];

/**
 * Leases rows of the queue. The right side of each assignment sees the row as it was.
 *
 * @param which ends the `update` statement: the rows to lease, which may be lost ones
 */
function lease(
  leasedUntil: RawBuilder<unknown>,
  blame: RawBuilder<unknown>,
  which: RawBuilder<unknown>,
): Statement<SealedDelivery> {
  return statement(
    sql<ClaimedColumns>`
      update queue set
        leased_until = ${leasedUntil},
        attempt_count = attempt_count
          + (leased_until is null or lost_count + lease_blame < ${sql.lit(LOST_COUNT_MAX)}),
        lost_count = lost_count + iif(leased_until is null, 0, lease_blame),
        lease_blame = ${blame}
      ${which}
      returning delivery_id as "deliveryId", attempt_count as "attempt", round_start as "cycleStart",
        lost_count as "lostCount", due_at as "dueAt", event_id as "eventId", destination_id as "destinationId",
        (select payload from event where id = event_id and length(payload) <= ${sql.lit(INLINE_PAYLOAD_BYTES_MAX)})
          as "payload",
        (select json_array(length(payload), hops, type) from event where id = event_id) as "event",
        (select json_array(version, url, http_method, account_id, sealed_headers, sealed_signing_secret,
           sealed_previous_secret, previous_secret_until) from destination where id = destination_id) as "destination"`,
    toSealed,
  );
}

function toSealed({ destination, event, cycleStart, ...columns }: ClaimedColumns): SealedDelivery {
  const [payloadLength, hops, eventType] = JSON.parse(event) as EventColumns;
  const [
    destinationVersion,
    url,
    httpMethod,
    accountId,
    sealedHeaders,
    sealedSigningSecret,
    sealedPreviousSecret,
    previousSecretUntil,
  ] = JSON.parse(destination) as DestinationColumns;
  return {
    ...columns,
    payloadLength,
    hops,
    eventType,
    attemptInCycle: columns.attempt - cycleStart,
    destinationVersion,
    url,
    httpMethod,
    accountId,
    sealedHeaders,
    sealedSigningSecret,
    sealedPreviousSecret,
    previousSecretUntil,
  };
}
