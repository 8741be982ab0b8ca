import { type RawBuilder, sql } from 'kysely';
import { PARKED_UNTIL, placeOf } from '../delivery-order.ts';
import { type Statement, statement } from '../typed-statement.ts';
import {
  type ClaimRow,
  INLINE_PAYLOAD_BYTES_MAX,
  type LaneClaimRequest,
  LEASE_MARGIN_MS,
  LOST_AMONG_MAX,
  LOST_COUNT_MAX,
  type RatedClaimRequest,
  type SealedDelivery,
} from '../statements.ts';

/** How long the lease of a demand `d` for deliveries of a destination `x` lasts; see `leaseMsOf`. */
export const LEASE_MS = sql`coalesce(2 * x.timeout_ms + ${sql.lit(LEASE_MARGIN_MS)}, d.lease_ms)`;

type Demand = Pick<LaneClaimRequest, 'destinationId' | 'leaseMs' | 'blame'> & Partial<RatedClaimRequest>;

/** No rate limit. As a column: the planner takes nulls for rare, and would join the claims row by row. */
export const IS_PLAIN = sql`x.rate_count is null as is_plain`;

/** The order of a row `q` of the queue. A row that waits is the head of its key: it has been claimed or woken before. */
export const ORDER = sql`q.order_key is not null and not q.waits as may_wait, q.order_key, q.order_seq`;

export const PARKED = sql`to_timestamp(${sql.lit(PARKED_UNTIL / 1_000)})`;

/**
 * What is `due` and has no predecessor is `free`, and what has one is parked; see delivery-order.ts. The nearest predecessor
 * is the last to leave, so its lock is in nobody's way. Nothing is looked up for what has no order.
 */
const PREDECESSOR = sql`
        select true as is_there from queue q
        where q.destination_id = d.destination_id and q.order_key = d.order_key and q.order_seq < d.order_seq`;
const HEADS = sql`
      ordered as materialized (
        select d.*, p.is_there is null as is_head, k.is_there is not null as is_kept from due d left join lateral (
          ${PREDECESSOR} order by q.order_seq desc limit 1
        ) p on true left join lateral (
          ${PREDECESSOR} and p.is_there order by q.order_seq desc limit 1 for key share skip locked
        ) k on true where d.may_wait
      ), free as materialized (
        select delivery_id, lease_ms, blame from due where not may_wait
        union all
        select delivery_id, lease_ms, blame from ordered where is_head
      ), parked as (
        update queue q set due_at = ${PARKED}
        where q.delivery_id = any (array(select delivery_id from ordered where is_kept))
      )`;

/** Demands for deliveries of destinations, as the rows of a table. */
export function demandsOf(requests: readonly Demand[]): RawBuilder<unknown> {
  const rows = requests.map(({ destinationId, limit, from = 0, lostMost, leaseMs, blame }) => ({
    id: destinationId,
    most: limit,
    since: from / 1_000,
    lost_most: lostMost,
    lease_ms: leaseMs,
    blame,
  }));
  return sql`
    json_to_recordset(${JSON.stringify(rows)}::json)
      as l (id uuid, most int, since float8, lost_most int, lease_ms int, blame int)`;
}

/** The oldest due deliveries of the destination of a demand `d`, locked. */
export function dueOf(limit: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    select q.delivery_id, q.destination_id, ${ORDER} from queue q
    where q.destination_id = d.id and q.due_at >= to_timestamp(d.since) and q.due_at <= now() and q.leased_until is null
    order by q.due_at limit ${limit} for no key update skip locked`;
}

/** Its delivery that was lost least, or the next ones for further demands, locked. What was claimed is the head. */
export function lostOf({ nth, limit }: { nth: RawBuilder<unknown>; limit: RawBuilder<unknown> }): RawBuilder<unknown> {
  return sql`
    select q.delivery_id, q.destination_id, false as may_wait, null::text as order_key, null::bigint as order_seq from (
      select delivery_id from (
        select delivery_id, leased_until, lost_count, due_at from queue
        where destination_id = d.id and due_at <= now() order by due_at limit ${sql.lit(LOST_AMONG_MAX)}
      ) oldest
      where leased_until <= now() and lost_count <= d.lost_most
      order by lost_count, due_at offset ${nth} - 1 limit ${limit}
    ) lost cross join lateral (
      select delivery_id, destination_id from queue where delivery_id = lost.delivery_id and leased_until <= now()
      limit 1 for no key update skip locked
    ) q`;
}

/** A policy in one column, which is null where nothing is set. See `ClaimedPolicies`. */
const POLICY = sql`
  case when num_nonnulls(x.timeout_ms, x.retry_schedule, x.max_concurrency, x.rate_count, x.stop_on) > 0
       then json_build_array(x.timeout_ms, x.retry_schedule, x.max_concurrency, x.rate_count, x.rate_per_ms, x.stop_on)::text
  end`;

/** The lease of its worker has run out. The database's clock decides, because the workers' clocks may differ. */
const IS_LOST = sql`(q.leased_until is not null)`;
const IS_GIVEN_UP = sql`(q.leased_until is not null and q.lost_count + q.lease_blame >= ${sql.lit(LOST_COUNT_MAX)})`;

type Columns = Omit<SealedDelivery, 'attemptInCycle' | 'place'> & {
  readonly cycleStart: number;
  readonly orderKey: string | null;
  readonly orderNumber: number | null;
  /** Set in the rows that tell of a limited destination, where everything else of a delivery is null. */
  readonly limitedForMs: number | null;
  /** Likewise in those that tell of what was passed over. */
  readonly parked: number | null;
  readonly undecided: number | null;
};

/**
 * @param due begins the statement: the locked rows to lease, as
 * `due (delivery_id, destination_id, may_wait, order_key, order_seq, lease_ms, blame)`
 * @param limited goes on: the destinations with a rate limit, as `limited (destination_id, for_ms)`. It may count what
 * is `claimed`.
 */
export function lease(due: RawBuilder<unknown>, limited: RawBuilder<unknown>): Statement<ClaimRow> {
  return statement(
    sql<Columns>`
      ${due}, ${HEADS}, claimed as (
        update queue q set
          leased_until = now() + f.lease_ms * interval '1 ms',
          attempt_count = q.attempt_count + (not ${IS_GIVEN_UP})::int,
          lost_count = q.lost_count + case when ${IS_LOST} then q.lease_blame else 0 end,
          lease_blame = f.blame
        from free f
        where q.delivery_id = f.delivery_id and q.delivery_id = any (array(select delivery_id from free))
        returning q.*
      ), ${limited}, note as (
        select destination_id, for_ms, null::int as parked, null::int as undecided from limited
        union all
        select destination_id, null, count(*) filter (where is_kept)::int, count(*) filter (where not is_kept)::int
        from ordered where not is_head group by destination_id
      )
      select c.delivery_id as "deliveryId", x.id as "destinationId", x.version as "destinationVersion",
             c.event_id as "eventId", c.attempt_count as "attempt", c.round_start as "cycleStart",
             c.lost_count as "lostCount", (extract(epoch from c.due_at) * 1000)::float8 as "dueAt",
             c.order_key as "orderKey", c.order_seq::float8 as "orderNumber",
             e.length as "payloadLength", e.payload, e.hops, e.type as "eventType", x.url, x.http_method as "httpMethod",
             x.account_id as "accountId", x.transform, ${POLICY} as policy, x.sealed_headers as "sealedHeaders",
             x.sealed_signing_secret as "sealedSigningSecret", x.sealed_previous_secret as "sealedPreviousSecret",
             (extract(epoch from x.previous_secret_until) * 1000)::float8 as "previousSecretUntil",
             null::float8 as "limitedForMs", null::int as parked, null::int as undecided
      from claimed c cross join lateral (
        select octet_length(payload) as length, hops, type,
               case when octet_length(payload) <= ${sql.lit(INLINE_PAYLOAD_BYTES_MAX)} then payload end as payload
        from event where id = c.event_id limit 1
      ) e cross join lateral (select * from destination where id = c.destination_id limit 1) x
      union all
      select null, x.id, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
             ${POLICY}, null, null, null, null, n.for_ms, n.parked, n.undecided
      from note n cross join lateral (select * from destination where id = n.destination_id limit 1) x`,
    toClaimRow,
  );
}

function toClaimRow({ cycleStart, orderKey, orderNumber, ...row }: Columns): ClaimRow {
  const { limitedForMs, parked, undecided, ...columns } = row;
  const { destinationId, policy, attempt } = columns;
  if (parked !== null && undecided !== null) {
    return { destinationId, parked, undecided };
  }
  return limitedForMs === null
    ? { ...columns, attemptInCycle: attempt - cycleStart, place: placeOf(destinationId, orderKey, orderNumber) }
    : { destinationId, policy, limitedForMs };
}
