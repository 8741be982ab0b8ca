import { sql } from 'kysely';
import type { Ticket } from '../../core/ticket.ts';
import type { KeyedId, Statements } from '../statements.ts';
import { CLAIMS } from './claims.ts';
import { EVENTS } from './events.ts';
import { RECORDS } from './records.ts';

export const POSTGRESQL_STATEMENTS: Statements = {
  events: EVENTS,
  claims: CLAIMS,
  records: RECORDS,

  release(claims, now) {
    const rows = JSON.stringify(claims.map(({ deliveryId, attempt }) => ({ id: deliveryId, attempt })));
    return sql`
      update delivery d set due_at = ${at(now)}, attempt_count = d.attempt_count - 1
      from json_to_recordset(${rows}::json) as c (id uuid, attempt int)
      where d.id = c.id and d.attempt_count = c.attempt and d.status = 'PENDING'`;
  },

  recoverLeases: (now) => sql`
    update delivery set due_at = ${at(now)}
    where status = 'PENDING' and due_at > ${at(now)} and not exists (
      select 1 from attempt where delivery_id = delivery.id and number = attempt_count
    )`,

  dueOf: (destinationId, now, limit) => sql<Ticket>`
    select id as "deliveryId", destination_id as "destinationId", attempt_count as "attempt" from delivery
    where destination_id = ${destinationId} and status = 'PENDING' and due_at <= ${at(now)}
    order by due_at limit ${limit}`,

  // Hops from destination to destination by the index, without reading what lies between. There is no min(uuid).
  dueOfEach: (now, limitPerDestination) => sql<Ticket>`
    with recursive waiting (destination_id) as (
      (select destination_id from delivery where status = 'PENDING' order by destination_id limit 1)
      union all
      select (select d.destination_id from delivery d
              where d.status = 'PENDING' and d.destination_id > waiting.destination_id order by d.destination_id limit 1)
      from waiting where waiting.destination_id is not null
    )
    select due.id as "deliveryId", due.destination_id as "destinationId", due.attempt_count as "attempt"
    from waiting w cross join lateral (
      select x.id, x.destination_id, x.attempt_count from delivery x
      where x.destination_id = w.destination_id and x.status = 'PENDING' and x.due_at <= ${at(now)}
      order by x.due_at limit ${limitPerDestination}
    ) due
    where w.destination_id is not null`,

  eventIdsOf: ({ parentIds, before, limit }) => sql<KeyedId>`
    select p.id as key, e.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
      select x.id from event x where x.account_id = p.id and x.id < ${before} order by x.id desc limit ${limit}
    ) e order by e.id desc`,

  deliveryIdsOf({ parentIds, before, limit }, status) {
    const withStatus = status === undefined ? sql`` : sql`and x.status = ${sql.lit(status)}`;
    return sql<KeyedId>`
      select p.id as key, d.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
        select x.id from delivery x where x.destination_id = p.id and x.id < ${before} ${withStatus}
        order by x.id desc limit ${limit}
      ) d order by d.id desc`;
  },
};

function at(ms: number) {
  return sql`to_timestamp(${ms}::bigint / 1000.0)`;
}
