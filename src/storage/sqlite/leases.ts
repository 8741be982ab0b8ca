import { type RawBuilder, sql } from 'kysely';
import type { HttpMethod } from '../../core/inputs.ts';
import { placeOf } from '../delivery-order.ts';
import { type Statement, statement } from '../typed-statement.ts';
import {
  INLINE_PAYLOAD_BYTES_MAX,
  LEASE_MARGIN_MS,
  LOST_AMONG_MAX,
  LOST_COUNT_MAX,
  type SealedDelivery,
} from '../statements.ts';

/** See `leaseMsOf`. */
export function leaseEnd(now: number, leaseMs: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`${now} + coalesce(
    (select 2 * timeout_ms + ${sql.lit(LEASE_MARGIN_MS)} from destination where id = destination_id), ${leaseMs})`;
}

/** A policy in one column, which is null where nothing is set. See `ClaimedPolicies`. */
export const POLICY = sql`
  case when coalesce(timeout_ms, retry_schedule, max_concurrency, rate_count, stop_on) is not null
       then '' || json_array(timeout_ms, retry_schedule, max_concurrency, rate_count, rate_per_ms, stop_on)
  end`;

/** The keys of the oldest due deliveries of a destination. */
export function dueOf({ destinationId, from, now, limit }: DueSearch): RawBuilder<unknown> {
  return sql`
    select q.delivery_id from destination x cross join queue q on q.destination_id = x.id
    where x.id = ${destinationId} and x.disabled_at is null and q.due_at >= ${from} and q.due_at <= ${now}
      and q.leased_until is null
    order by q.due_at limit ${limit}`;
}

interface DueSearch {
  readonly destinationId: string;
  readonly from: number;
  readonly now: number;
  readonly limit: RawBuilder<unknown>;
}

/** The key of its delivery that was lost least. */
export function lostOf({ destinationId, lostMost, now, limit }: LostSearch): RawBuilder<unknown> {
  return sql`
    select delivery_id from (
      select q.delivery_id, q.leased_until, q.lost_count, q.due_at
      from destination x cross join queue q on q.destination_id = x.id
      where x.id = ${destinationId} and x.disabled_at is null and q.due_at <= ${now}
      order by q.due_at limit ${sql.lit(LOST_AMONG_MAX)}
    )
    where leased_until <= ${now} and lost_count <= ${lostMost} order by lost_count, due_at limit ${limit}`;
}

interface LostSearch {
  readonly destinationId: string;
  readonly lostMost: number;
  readonly now: number;
  readonly limit: RawBuilder<unknown>;
}

interface ClaimedColumns {
  readonly orderKey: string | null;
  readonly orderNumber: number | null;
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
  policy: string | null,
  transform: string | null,
];

/**
 * Leases rows of the queue. The right side of each assignment sees the row as it was.
 *
 * @param which ends the `update` statement: the rows to lease, which may be lost ones
 */
export function lease(
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
        lost_count as "lostCount", due_at as "dueAt", order_key as "orderKey", order_seq as "orderNumber",
        event_id as "eventId", destination_id as "destinationId",
        (select payload from event where id = event_id and length(payload) <= ${sql.lit(INLINE_PAYLOAD_BYTES_MAX)})
          as "payload",
        (select json_array(length(payload), hops, type) from event where id = event_id) as "event",
        (select json_array(version, url, http_method, account_id, sealed_headers, sealed_signing_secret,
           sealed_previous_secret, previous_secret_until, ${POLICY}, transform) from destination where id = destination_id) as "destination"`,
    toSealed,
  );
}

function toSealed(row: ClaimedColumns): SealedDelivery {
  const { destination, event, cycleStart, orderKey, orderNumber, ...columns } = row;
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
    policy,
    transform,
  ] = JSON.parse(destination) as DestinationColumns;
  return {
    ...columns,
    payloadLength,
    hops,
    eventType,
    attemptInCycle: columns.attempt - cycleStart,
    place: placeOf(columns.destinationId, orderKey, orderNumber),
    destinationVersion,
    url,
    httpMethod,
    accountId,
    sealedHeaders,
    sealedSigningSecret,
    sealedPreviousSecret,
    previousSecretUntil,
    policy,
    transform,
  };
}
