import { type RawBuilder, sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import { saysGone } from '../../core/delivery.ts';
import { type NextDelivery, PARKED_UNTIL, placesLeft } from '../delivery-order.ts';
import { command, PackedBytes, type Statement, statement } from '../typed-statement.ts';
import type { AttemptRecord, Claim, Statements } from '../statements.ts';

export const recordBy =
  (clock: Clock): Statements['record'] =>
  (records) => {
    const bodies = new PackedBytes();
    const now = clock.now();
    const rows = JSON.stringify(records.map((record) => toRow(record, now, bodies)));
    // While the lease stands, the attempt is the worker's own. Otherwise it is lost, or recorded already.
    const isOwn = sql`q.attempt_count = r.value ->> 1 and q.leased_until is not null`;
    const own = sql`json_each(${rows}) r cross join queue q on q.delivery_id = r.value ->> 0 and ${isOwn}`;
    return [
      command(sql`
        insert into attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body,
                             destination_version, message)
        select q.delivery_id, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5,
               case when r.value ->> 9 is null then null
                    else substr(${bodies.toBuffer()}, r.value ->> 9, r.value ->> 10) end, r.value ->> 12, r.value ->> 13
        from ${own}
        where true on conflict (delivery_id, number) do nothing`),
      ...(records.some(({ outcome }) => saysGone(outcome)) ? disableGone(own) : []),
      command(sql`
        update delivery set status = r.value ->> 6, attempt_count = r.value ->> 1, completed_at = r.value ->> 8
        from ${own}
        where delivery.id = q.delivery_id and r.value ->> 6 <> 'PENDING'`),
      command(sql`
        update queue set due_at = r.value ->> 7, leased_until = null, lost_count = 0, waits = 1
        from json_each(${rows}) r
        where queue.delivery_id = r.value ->> 0 and queue.attempt_count = r.value ->> 1
          and queue.leased_until is not null and r.value ->> 6 = 'PENDING'`),
      command(sql`
        delete from queue where delivery_id in (
          select q.delivery_id from ${own} where r.value ->> 6 <> 'PENDING'
        )`),
      statement(sql<Claim>`
        select r.value ->> 0 as "deliveryId", r.value ->> 1 as attempt from json_each(${rows}) r
        where exists (select 1 from attempt where delivery_id = r.value ->> 0 and number = r.value ->> 1)`),
      ...wakeNext(records, now),
    ];
  };

/** Wakes the heads of the keys whose heads have left. */
function wakeNext(records: readonly AttemptRecord[], now: number): readonly Statement<NextDelivery>[] {
  const places = placesLeft(records);
  if (places.length === 0) {
    return [];
  }
  const rows = JSON.stringify(places.map(({ destinationId, key, number }) => [destinationId, key, number]));
  return [
    statement(sql<NextDelivery>`
      update queue set due_at = ${now}, waits = 1
      where due_at >= ${sql.lit(PARKED_UNTIL)} and delivery_id in (
        select (
          select delivery_id from queue
          where destination_id = p.value ->> 0 and order_key = p.value ->> 1 and order_seq >= p.value ->> 2
          order by order_seq limit 1
        ) from json_each(${rows}) p
      )
      returning delivery_id as "deliveryId", destination_id as "destinationId", order_key as "key",
        attempt_count as "attempt"`),
  ];
}

function disableGone(own: RawBuilder<unknown>) {
  const gone = sql`
    select q.destination_id as id, r.value ->> 12 as version, min(r.value ->> 8) as at
    from ${own} where r.value ->> 11 group by 1, 2`;
  return [
    command(sql`
      update account set routing_version = routing_version + 1
      where id in (
        select x.account_id from (${gone}) g
          cross join destination x on x.id = g.id and x.version = g.version and x.disabled_at is null
      )`),
    command(sql`
      update destination set disabled_at = g.at from (${gone}) g
      where destination.id = g.id and destination.version = g.version and disabled_at is null`),
  ];
}

function toRow(record: AttemptRecord, now: number, bodies: PackedBytes): unknown[] {
  const { deliveryId, attempt, destinationVersion, outcome, state } = record;
  return [
    deliveryId,
    attempt,
    outcome.startedAt,
    outcome.durationMs,
    outcome.statusCode,
    outcome.error,
    state.status,
    state.retryInMs === null ? null : now + state.retryInMs,
    state.completedAt,
    ...(outcome.responseBody === null ? [null, null] : bodies.add(outcome.responseBody)),
    saysGone(outcome),
    destinationVersion,
    outcome.message,
  ];
}
