import { type RawBuilder, sql } from 'kysely';
import { type Statement, statement } from '../typed-statement.ts';
import {
  INLINE_PAYLOAD_BYTES_MAX,
  LOST_AMONG_MAX,
  LOST_COUNT_MAX,
  type SealedDelivery,
  type Statements,
} from '../statements.ts';

/**
 * Each look-up is a lateral query with a limit, or goes by a list of keys: that makes the planner use the index.
 * Statistics are a minute old, and plans that trust them read a whole table that was empty then. A locked row is
 * being claimed or finished, so it is passed over.
 */
export const claim: Statements['claim'] = (requests) => {
  const tickets = JSON.stringify(
    requests.map(({ ticket, leaseMs, blame }) => ({
      id: ticket.deliveryId,
      attempt: ticket.attempt,
      lease_ms: leaseMs,
      blame,
    })),
  );
  return lease(sql`
    with ticket as materialized (
      select distinct on (id) * from json_to_recordset(${tickets}::json) as t (id uuid, attempt int, lease_ms int, blame int)
    ), free as materialized (
      select q.delivery_id, t.lease_ms, t.blame from ticket t cross join lateral (
        select q.delivery_id, q.destination_id from queue q
        where q.delivery_id = t.id and q.attempt_count = t.attempt and q.leased_until is null
        limit 1 for update skip locked
      ) q cross join lateral (
        select from destination where id = q.destination_id and disabled_at is null limit 1
      ) x
    )`);
};

export const claimLanes: Statements['claimLanes'] = (requests) => {
  const lanes = JSON.stringify(
    requests.map(({ destinationId, limit, from, leaseMs, blame }) => ({
      id: destinationId,
      most: limit,
      since: from / 1_000,
      lease_ms: leaseMs,
      blame,
    })),
  );
  return [
    lease(sql`
      with lane as materialized (
        select * from json_to_recordset(${lanes}::json) as l (id uuid, most int, since float8, lease_ms int, blame int)
      ), free as materialized (
        select q.delivery_id, l.lease_ms, l.blame from lane l cross join lateral (
          select from destination where id = l.id and disabled_at is null limit 1
        ) x cross join lateral (
          select q.delivery_id from queue q
          where q.destination_id = l.id and q.due_at >= to_timestamp(l.since) and q.due_at <= now() and q.leased_until is null
          order by q.due_at limit l.most for update skip locked
        ) q
      )`),
  ];
};

export const claimLost: Statements['claimLost'] = (requests) => {
  const lanes = JSON.stringify(
    requests.map(({ destinationId, lostMost, leaseMs, blame }) => ({
      id: destinationId,
      most: lostMost,
      lease_ms: leaseMs,
      blame,
    })),
  );
  return [
    lease(sql`
      with lane as materialized (
        select id, most, lease_ms, blame, row_number() over (partition by id) as nth
        from json_to_recordset(${lanes}::json) as l (id uuid, most int, lease_ms int, blame int)
      ), free as materialized (
        select q.delivery_id, l.lease_ms, l.blame from lane l cross join lateral (
          select from destination where id = l.id and disabled_at is null limit 1
        ) x cross join lateral (
          select delivery_id from (
            select delivery_id, leased_until, lost_count, due_at from queue
            where destination_id = l.id and due_at <= now() order by due_at limit ${sql.lit(LOST_AMONG_MAX)}
          ) oldest
          where leased_until <= now() and lost_count <= l.most
          order by lost_count, due_at offset l.nth - 1 limit 1
        ) lost cross join lateral (
          select delivery_id from queue where delivery_id = lost.delivery_id and leased_until <= now()
          limit 1 for update skip locked
        ) q
      )`),
  ];
};

/** The lease of its worker has run out. The database's clock decides, because the workers' clocks may differ. */
const IS_LOST = sql`(q.leased_until is not null)`;
const IS_GIVEN_UP = sql`(q.leased_until is not null and q.lost_count + q.lease_blame >= ${sql.lit(LOST_COUNT_MAX)})`;

type ClaimedColumns = Omit<SealedDelivery, 'attemptInCycle'> & { readonly cycleStart: number };

/** @param free begins the statement: the locked rows to lease, as `free (delivery_id, lease_ms, blame)` */
function lease(free: RawBuilder<unknown>): Statement<SealedDelivery> {
  return statement(
    sql<ClaimedColumns>`
      ${free}, claimed as (
        update queue q set
          leased_until = now() + f.lease_ms * interval '1 ms',
          attempt_count = q.attempt_count + (not ${IS_GIVEN_UP})::int,
          lost_count = q.lost_count + case when ${IS_LOST} then q.lease_blame else 0 end,
          lease_blame = f.blame
        from free f
        where q.delivery_id = f.delivery_id and q.delivery_id = any (array(select delivery_id from free))
        returning q.*
      )
      select c.delivery_id as "deliveryId", c.destination_id as "destinationId", x.version as "destinationVersion",
             c.event_id as "eventId", c.attempt_count as "attempt", c.round_start as "cycleStart",
             c.lost_count as "lostCount", (extract(epoch from c.due_at) * 1000)::float8 as "dueAt",
             e.length as "payloadLength", e.payload, e.hops, e.type as "eventType", x.url, x.http_method as "httpMethod",
             x.account_id as "accountId", x.sealed_headers as "sealedHeaders",
             x.sealed_signing_secret as "sealedSigningSecret", x.sealed_previous_secret as "sealedPreviousSecret",
             (extract(epoch from x.previous_secret_until) * 1000)::float8 as "previousSecretUntil"
      from claimed c cross join lateral (
        select octet_length(payload) as length, hops, type,
               case when octet_length(payload) <= ${sql.lit(INLINE_PAYLOAD_BYTES_MAX)} then payload end as payload
        from event where id = c.event_id limit 1
      ) e cross join lateral (select * from destination where id = c.destination_id limit 1) x`,
    ({ cycleStart, ...columns }) => ({ ...columns, attemptInCycle: columns.attempt - cycleStart }),
  );
}
