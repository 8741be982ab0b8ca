import { type RawBuilder, sql } from 'kysely';
import { demandsOf, dueOf, IS_PLAIN, lease, LEASE_MS, lostOf, ORDER, PARKED } from './leases.ts';
import type { Statements } from '../statements.ts';

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
  const due = sql`
    with ticket as materialized (
      select distinct on (id) * from json_to_recordset(${tickets}::json) as t (id uuid, attempt int, lease_ms int, blame int)
    ), found as materialized (
      select q.*, ${LEASE_MS} as lease_ms, d.blame, ${IS_PLAIN}
      from ticket d cross join lateral (
        select q.delivery_id, q.destination_id, q.due_at, ${ORDER} from queue q
        where q.delivery_id = d.id and q.attempt_count = d.attempt and q.leased_until is null
        limit 1 for no key update skip locked
      ) q cross join lateral (
        select timeout_ms, rate_count from destination where id = q.destination_id and disabled_at is null limit 1
      ) x where q.due_at < ${PARKED}
    ), due as materialized (
      select * from found where is_plain
    )`;
  return [lease(due, limitedAmong(sql`found`))];
};

export const claimLanes: Statements['claimLanes'] = (requests) => {
  const lane = sql`select * from ${demandsOf(requests)}`;
  return [lease(dueAmong(lane, dueOf(sql`d.most`)), limitedAmong(sql`known`))];
};

export const claimLost: Statements['claimLost'] = (requests) => {
  const lane = sql`select *, row_number() over (partition by id) as nth from ${demandsOf(requests)}`;
  return [lease(dueAmong(lane, lostOf({ nth: sql`d.nth`, limit: sql`1` })), limitedAmong(sql`known`))];
};

/** @param rows of the destination of a demand `d` */
function dueAmong(lane: RawBuilder<unknown>, rows: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    with lane as materialized (
      ${lane}
    ), known as materialized (
      select d.*, x.id as destination_id, ${LEASE_MS} as own_lease_ms, ${IS_PLAIN} from lane d cross join lateral (
        select id, timeout_ms, rate_count from destination where id = d.id and disabled_at is null limit 1
      ) x
    ), due as materialized (
      select q.*, d.own_lease_ms as lease_ms, d.blame from known d cross join lateral (${rows}) q
      where d.is_plain
    )`;
}

/** Nobody has looked when the next attempt is allowed: rated claims do. */
function limitedAmong(table: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    limited as (
      select distinct destination_id, 0::float8 as for_ms from ${table} where not is_plain
    )`;
}
