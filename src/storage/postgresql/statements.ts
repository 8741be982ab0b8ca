import { type RawBuilder, sql } from 'kysely';
import { EVERYTHING } from '../../core/scope.ts';
import type { Ticket } from '../../core/ticket.ts';
import type { DueRequest, KeyedId, Statements } from '../statements.ts';
import { CLAIMS } from './claims.ts';
import { EVENTS } from './events.ts';
import { KEY_HOLDERS } from './key-holders.ts';
import { RECORDS } from './records.ts';

export const POSTGRESQL_STATEMENTS: Statements = {
  events: EVENTS,
  keyHolders: KEY_HOLDERS,
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

  returnTickets(tickets, now) {
    const rows = JSON.stringify(tickets.map(({ deliveryId, attempt }) => ({ id: deliveryId, attempt })));
    return sql`
      update delivery d set due_at = ${at(now)}
      from json_to_recordset(${rows}::json) as t (id uuid, attempt int)
      where d.id = t.id and d.attempt_count = t.attempt and d.status = 'PENDING' and d.due_at > ${at(now)}`;
  },

  takeDueOf: (destinationId, request) => takeDue(sql`select ${destinationId}::uuid as destination_id`, request),

  // Hops from destination to destination by the index, without reading what lies between. There is no min(uuid).
  takeDue: (request) =>
    takeDue(
      sql`
        with recursive pending (destination_id) as (
          (select destination_id from delivery where status = 'PENDING' order by destination_id limit 1)
          union all
          select (select d.destination_id from delivery d
                  where d.status = 'PENDING' and d.destination_id > p.destination_id order by d.destination_id limit 1)
          from pending p where p.destination_id is not null
        )
        select destination_id from pending
        where destination_id is not null and destination_id <> all (${request.except}::uuid[])`,
      request,
    ),

  eventIdsOf: ({ parentIds, before, limit }) => sql<KeyedId>`
    select p.id as key, e.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
      select x.id from event x where x.account_id = p.id and x.id < ${before} order by x.id desc limit ${limit}
    ) e order by e.id desc`,

  deliveryIdsOf({ parentIds, before, limit, scope }, status) {
    const own =
      scope === EVERYTHING
        ? sql``
        : sql`where p.id in (select id from destination where account_id = ${scope.accountId})`;
    const withStatus = status === undefined ? sql`` : sql`and x.status = ${sql.lit(status)}`;
    return sql<KeyedId>`
      select p.id as key, d.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
        select x.id from delivery x where x.destination_id = p.id and x.id < ${before} ${withStatus}
        order by x.id desc limit ${limit}
      ) d ${own} order by d.id desc`;
  },
};

/** Rows that another worker is taking at this moment are passed over, not waited for. */
function takeDue(destinations: RawBuilder<unknown>, { now, limitPerDestination, visibilityMs }: DueRequest) {
  return sql<Ticket>`
    with waiting as (${destinations}), due as (
      select x.id, o.account_id from waiting w join destination o on o.id = w.destination_id and o.disabled_at is null
      cross join lateral (
        select d.id from delivery d
        where d.destination_id = w.destination_id and d.status = 'PENDING' and d.due_at <= ${at(now)}
        order by d.due_at limit ${limitPerDestination} for update skip locked
      ) x
    )
    update delivery d set due_at = ${visibilityMs === 0 ? sql`d.due_at` : at(now + visibilityMs)}
    from due where d.id = due.id
    returning d.id as "deliveryId", d.destination_id as "destinationId", due.account_id as "accountId",
              d.attempt_count as "attempt"`;
}

function at(ms: number) {
  return sql`to_timestamp(${ms}::bigint / 1000.0)`;
}
