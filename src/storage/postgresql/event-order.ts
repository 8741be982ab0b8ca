import { type RawBuilder, sql } from 'kysely';
import type { NewEvent } from '../statements.ts';
import { PARKED } from './leases.ts';

/** Parts of the statement that stores events, for a batch in which some have an order. See delivery-order.ts. */
export interface OrderParts {
  /** Of `input`. */
  readonly keys: RawBuilder<unknown>;
  /** The body of `locked`. */
  readonly locked: RawBuilder<unknown>;
  /** Of `valid`, from the account `a`. */
  readonly lastNumber: RawBuilder<unknown>;
  /** Of `known`, from an event `i` and its valid fan-out `v`. */
  readonly number: RawBuilder<unknown>;
  /** Of `new_delivery`, from an event `e` and its target `t`. */
  readonly place: RawBuilder<unknown>;
  /** Inserts into the queue. */
  readonly queued: RawBuilder<unknown>;
}

const THE_ACCOUNT = sql`account where id = t.account_id and token_hash = t.token_hash`;

/** For a batch without any order. It shares the accounts' rows with other batches. */
const PLAIN: OrderParts = {
  keys: sql``,
  locked: sql`
        select t.token_hash, t.account_id, a.routing_version
        from (select distinct account_id, token_hash from fan_out order by account_id) t
        cross join lateral (select routing_version from ${THE_ACCOUNT} limit 1 for share) a`,
  lastNumber: sql``,
  number: sql``,
  place: sql``,
  queued: sql`
      queued as (
        insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
        select id, event_id, destination_id, 0, 0, 0, now(), false from new_delivery
      )`,
};

/**
 * Numbers are given while the rows of their accounts are locked, until the commit. A delivery with a predecessor is
 * parked at once, if that is one of the same batch or can be locked. Claims park the others.
 */
const ORDERED: OrderParts = {
  keys: sql`, order_keys text[]`,
  locked: sql`
        select t.token_hash, t.account_id, a.routing_version, a.order_seq
        from (
          select f.account_id, f.token_hash, bool_or(i.order_keys is not null) as has_order
          from fan_out f join input i on i.fan_out = f.number group by 1, 2 order by 1
        ) t cross join lateral (
          select * from (
            select routing_version, order_seq from ${THE_ACCOUNT} and t.has_order limit 1 for no key update
          ) x union all select * from (
            select routing_version, order_seq from ${THE_ACCOUNT} and not t.has_order limit 1 for share
          ) y
        ) a`,
  lastNumber: sql`, coalesce(a.order_seq, 0) as last_number`,
  number: sql`, v.last_number + count(i.order_keys) over (partition by v.account_id order by i.index) as number`,
  place: sql`, e.order_keys[t.ordinal] as order_key, e.number`,
  queued: sql`
      numbered as (
        update account a set order_seq = n.number
        from (select account_id, max(number) as number from known where order_keys is not null group by account_id) n
        where a.id = n.account_id
          and a.id = any (array(select account_id from known where order_keys is not null))
      ), follower as materialized (
        select d.*, row_number() over (partition by destination_id, order_key order by number) > 1 as has_batch_mate
        from new_delivery d where order_key is not null
      ), parked as materialized (
        select f.id from follower f left join lateral (
          select true as is_kept from queue q
          where not f.has_batch_mate and q.destination_id = f.destination_id and q.order_key = f.order_key
          order by q.order_seq desc limit 1 for key share skip locked
        ) p on true where f.has_batch_mate or p.is_kept
      ), queued as (
        insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits,
                           order_key, order_seq)
        select id, event_id, destination_id, 0, 0, 0,
               case when id in (select id from parked) then ${PARKED} else now() end, false,
               order_key, case when order_key is not null then number end
        from new_delivery
      )`,
};

export function orderPartsFor(events: readonly NewEvent[]): OrderParts {
  return events.some(({ fanOut }) => fanOut.orderKeys !== null) ? ORDERED : PLAIN;
}
