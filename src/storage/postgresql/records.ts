import { sql } from 'kysely';
import { saysGone } from '../../core/delivery.ts';
import { type NextDelivery, placesLeft } from '../delivery-order.ts';
import { PackedBytes, type Statement, statement } from '../typed-statement.ts';
import { PARKED } from './leases.ts';
import type { AttemptRecord, Claim, Statements } from '../statements.ts';

/** Tables are reached by this list of keys, whatever their statistics say; see claims.ts. */
const OWN = sql`array(select id from own)`;

/** What answered that it is gone is disabled, and its account's routes have changed. */
const DISABLE_GONE = sql`
      answered_gone as materialized (
        select o.*, x.account_id from (
          select destination_id, version, to_timestamp(min(completed_at)) as at from own where gone group by 1, 2
        ) o cross join lateral (
          select account_id from destination
          where id = o.destination_id and version = o.version and disabled_at is null limit 1
        ) x
      ), changed_account as materialized (
        select a.id from (select distinct account_id from answered_gone order by 1) g
        cross join lateral (select id from account where id = g.account_id limit 1 for no key update) a
      ), gone as materialized (
        select x.id, g.at, g.account_id from (
          select * from answered_gone where account_id in (select id from changed_account) order by destination_id
        ) g cross join lateral (
          select id from destination
          where id = g.destination_id and version = g.version and disabled_at is null limit 1 for update
        ) x
      ), disabled as (
        update destination x set disabled_at = g.at from gone g where x.id = g.id
      ), rerouted as (
        update account set routing_version = routing_version + 1 where id = any (array(select account_id from gone))`;

/**
 * Locks the rows of the queue, then those of accounts, then those of destinations, each in the order of their ids: two
 * statements cannot deadlock. Accounts are locked by what stores events and by commands, which wait for no row of the
 * queue.
 */
export const record: Statements['record'] = (records) => {
  const bodies = new PackedBytes();
  const rows = JSON.stringify(records.map((attempt) => toRow(attempt, bodies)));
  return [
    statement(sql<Claim>`
      with record as materialized (
        select distinct on (id, attempt) * from json_to_recordset(${rows}::json) as r (
          id uuid, attempt int, started_at float8, duration_ms int, status_code int, error text, message text,
          status text, retry_ms float8, completed_at float8, start int, length int, gone boolean, version int)
        order by id, attempt
      ), own as materialized (
        select r.*, q.destination_id from record r cross join lateral (
          select destination_id from queue
          where delivery_id = r.id and attempt_count = r.attempt and leased_until is not null
          limit 1 for update
        ) q
      ), retried as (
        update queue q set due_at = now() + o.retry_ms * interval '1 ms', leased_until = null, lost_count = 0, waits = true
        from own o
        where q.delivery_id = o.id and o.status = 'PENDING' and q.delivery_id = any (${OWN})
      ), taken as (
        delete from queue q using own o
        where q.delivery_id = o.id and o.status <> 'PENDING' and q.delivery_id = any (${OWN})
      ), finished as (
        update delivery d set status = o.status, attempt_count = o.attempt, completed_at = to_timestamp(o.completed_at)
        from own o where d.id = o.id and o.status <> 'PENDING' and d.id = any (${OWN})
      ), ${DISABLE_GONE}
      ), logged as (
        insert into attempt (delivery_id, number, started_at, duration_ms, status_code, error, message, response_body,
                             destination_version)
        select id, attempt, to_timestamp(started_at), duration_ms, status_code, error, message,
               case when start is not null then substring(${bodies.toBuffer()}::bytea from start for length) end, version
        from own
        on conflict (delivery_id, number) do nothing
      )
      select id as "deliveryId", attempt from own
      union
      select r.id, r.attempt from record r cross join lateral (
        select from attempt where delivery_id = r.id and number = r.attempt limit 1
      ) a where r.id not in (select id from own)`),
    ...wakeNext(records),
  ];
};

/**
 * Wakes the heads of the keys whose heads may have left. It is a statement of its own, because the first one has waited for
 * those that park, and did not see what they have parked. Rows are locked in the order of their ids.
 */
function wakeNext(records: readonly AttemptRecord[]): readonly Statement<NextDelivery>[] {
  const places = placesLeft(records);
  if (places.length === 0) {
    return [];
  }
  const rows = places.map(({ destinationId, key, number }) => ({ id: destinationId, key, seq: number }));
  return [
    statement(sql<NextDelivery>`
      with left_place as materialized (
        select distinct on (id, key) * from json_to_recordset(${JSON.stringify(rows)}::json) as p (id uuid, key text, seq bigint)
        order by id, key, seq
      ), head as materialized (
        select q.delivery_id, q.due_at from left_place p cross join lateral (
          select delivery_id, due_at, leased_until from queue
          where destination_id = p.id and order_key = p.key and order_seq >= p.seq order by order_seq limit 1
        ) q where q.leased_until is null
      ), parked as materialized (
        select q.delivery_id from (
          select delivery_id from head where due_at >= ${PARKED} order by delivery_id
        ) h cross join lateral (
          select delivery_id, due_at from queue where delivery_id = h.delivery_id limit 1 for no key update
        ) q where q.due_at >= ${PARKED}
      ), woken as (
        update queue set due_at = now(), waits = true where delivery_id = any (array(select delivery_id from parked))
      )
      select q.delivery_id as "deliveryId", q.destination_id as "destinationId", q.order_key as "key",
             q.attempt_count as "attempt"
      from head h cross join lateral (
        select delivery_id, destination_id, order_key, attempt_count from queue where delivery_id = h.delivery_id limit 1
      ) q`),
  ];
}

/** Times in seconds, as `to_timestamp` takes them. */
function toRow(
  { deliveryId, attempt, destinationVersion, outcome, state }: AttemptRecord,
  bodies: PackedBytes,
): Record<string, unknown> {
  const [start, length] = outcome.responseBody === null ? [null, null] : bodies.add(outcome.responseBody);
  return {
    id: deliveryId,
    attempt,
    started_at: outcome.startedAt / 1_000,
    duration_ms: outcome.durationMs,
    status_code: outcome.statusCode,
    error: outcome.error,
    message: outcome.message,
    status: state.status,
    retry_ms: state.retryInMs,
    completed_at: state.completedAt === null ? null : state.completedAt / 1_000,
    start,
    length,
    gone: saysGone(outcome),
    version: destinationVersion,
  };
}
