import { sql } from 'kysely';
import { EVERYTHING } from '../../core/scope.ts';
import type { Ticket } from '../../core/ticket.ts';
import type { KeyedId, Statements } from '../statements.ts';
import { CLAIMS } from './claims.ts';
import { EVENTS } from './events.ts';
import { KEY_HOLDERS } from './key-holders.ts';
import { RECORDS } from './records.ts';

export const SQLITE_STATEMENTS: Statements = {
  events: EVENTS,
  keyHolders: KEY_HOLDERS,
  claims: CLAIMS,
  records: RECORDS,

  release(claims, now) {
    const rows = JSON.stringify(claims.map(({ deliveryId, attempt }) => [deliveryId, attempt]));
    return sql`
      update delivery set due_at = ${now}, attempt_count = attempt_count - 1
      from json_each(${rows}) c
      where delivery.id = c.value ->> 0 and attempt_count = c.value ->> 1 and status = 'PENDING'`;
  },

  recoverLeases: (now) => sql`
    update delivery set due_at = ${now}
    where status = 'PENDING' and due_at > ${now} and not exists (
      select 1 from attempt where delivery_id = delivery.id and number = attempt_count
    )`,

  returnTickets(tickets, now) {
    const rows = JSON.stringify(tickets.map(({ deliveryId, attempt }) => [deliveryId, attempt]));
    return sql`
      update delivery set due_at = ${now}
      from json_each(${rows}) t
      where delivery.id = t.value ->> 0 and attempt_count = t.value ->> 1 and status = 'PENDING' and due_at > ${now}`;
  },

  // Nobody else asks: the file has one owner, whose dispatcher knows which tickets it holds.
  takeDueOf: (destinationId, { now, limitPerDestination }) => sql<Ticket>`
    select d.id as "deliveryId", d.destination_id as "destinationId", o.account_id as "accountId",
           d.attempt_count as "attempt"
    from destination o cross join delivery d on d.destination_id = o.id
    where o.id = ${destinationId} and o.disabled_at is null and d.status = 'PENDING' and d.due_at <= ${now}
    order by d.due_at limit ${limitPerDestination}`,

  // Hops from destination to destination by the index, without reading what lies between.
  takeDue: ({ now, limitPerDestination, except }) => sql<Ticket>`
    with recursive waiting (destination_id) as (
      select min(destination_id) from delivery where status = 'PENDING'
      union all
      select (select min(destination_id) from delivery
              where status = 'PENDING' and destination_id > waiting.destination_id)
      from waiting where waiting.destination_id is not null
    )
    select d.id as "deliveryId", d.destination_id as "destinationId", o.account_id as "accountId",
           d.attempt_count as "attempt"
    from waiting w cross join destination o on o.id = w.destination_id cross join delivery d on d.id in (
      select x.id from delivery x
      where x.destination_id = w.destination_id and x.status = 'PENDING' and x.due_at <= ${now}
      order by x.due_at limit ${limitPerDestination}
    )
    where w.destination_id is not null and o.disabled_at is null
      and w.destination_id not in (select value from json_each(${JSON.stringify(except)}))`,

  eventIdsOf: ({ parentIds, before, limit }) => sql<KeyedId>`
    select e.account_id as key, e.id from json_each(${JSON.stringify(parentIds)}) p cross join event e on e.id in (
      select id from event where account_id = p.value and id < ${before} order by id desc limit ${limit}
    ) order by e.id desc`,

  deliveryIdsOf({ parentIds, before, limit, scope }, status) {
    const own =
      scope === EVERYTHING
        ? sql``
        : sql`where p.value in (select id from destination where account_id = ${scope.accountId})`;
    // Written into the statement, so that the planner can match it with the index over one status.
    const withStatus = status === undefined ? sql`` : sql`and status = ${sql.lit(status)}`;
    return sql<KeyedId>`
      select d.destination_id as key, d.id from json_each(${JSON.stringify(parentIds)}) p cross join delivery d on d.id in (
        select id from delivery where destination_id = p.value and id < ${before} ${withStatus}
        order by id desc limit ${limit}
      ) ${own} order by d.id desc`;
  },
};
