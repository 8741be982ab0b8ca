import { sql } from 'kysely';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { isVisibleAccount, isVisibleDestination } from '../scope.ts';
import type { FoundLane, FoundRetry } from '../searches.ts';
import { type KeyedId, LOST_AMONG_MAX, type Statements } from '../statements.ts';
import { command } from '../typed-statement.ts';
import type { CleaningStatements } from '../cleaning.ts';
import { claim, claimLanes, claimLost } from './claims.ts';
import { claimRated } from './rated-claims.ts';
import { countDeliveries, findEarlierEvents, findRoutes, storeEvents } from './events.ts';
import { record } from './records.ts';

const LISTS: Pick<Statements, 'eventIdsOf' | 'deliveryIdsOf'> = {
  eventIdsOf: ({ parentIds, before, limit, scope }) => sql<KeyedId>`
    select p.id as key, e.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
      select x.id from event x where x.account_id = p.id and x.id < ${before} order by x.id desc limit ${limit}
    ) e where ${isVisibleAccount(sql`p.id`, scope)} order by e.id desc`,

  // The index has the deliveries of a destination by status first: those of each are read as far as the page goes.
  deliveryIdsOf({ parentIds, before, limit, scope }, status) {
    const byStatus = (status === undefined ? DELIVERY_STATUSES : [status]).map(
      (one) => sql`
        (select x.id from delivery x where x.destination_id = p.id and x.status = ${one} and x.id < ${before}
         order by x.id desc limit ${limit})`,
    );
    return sql<KeyedId>`
      select p.id as key, d.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
        select x.id from (${sql.join(byStatus, sql` union all `)}) x order by x.id desc limit ${limit}
      ) d where ${isVisibleDestination(sql`p.id`, scope)} order by d.id desc`;
  },
};

/** The driver receives bytes as hexadecimal text, and holds several copies of them. */
const PART_BYTES = 4 * 1_048_576;
const LOWEST_ID = '00000000-0000-0000-0000-000000000000';

const release: Statements['release'] = (claims) => {
  const rows = JSON.stringify(claims.map(({ deliveryId, attempt }) => ({ id: deliveryId, attempt })));
  return command(sql`
    with claim as materialized (
      select distinct on (id) * from json_to_recordset(${rows}::json) as c (id uuid, attempt int) order by id
    ), held as materialized (
      select q.delivery_id from claim c cross join lateral (
        select delivery_id from queue
        where delivery_id = c.id and attempt_count = c.attempt and leased_until is not null
        limit 1 for update
      ) q
    )
    update queue q set leased_until = null, attempt_count = q.attempt_count - 1
    from held h
    where q.delivery_id = h.delivery_id and q.delivery_id = any (array(select delivery_id from held))`);
};

export const POSTGRESQL_STATEMENTS: Statements<never> = {
  findRoutes,
  storeEvents,
  findEarlierEvents,
  countDeliveries,
  claim,
  claimLanes,
  claimLost,
  claimRated,
  record,
  release,

  // A database on a server has no sole owner.
  recoverLeases: () => sql`select 1`,

  // Hops from destination to destination by the index, and passes over the rows between. There is no min(uuid).
  findLanes: ({ after, limit, graceMs }) => sql<FoundLane>`
    with recursive hop (destination_id, number) as (
      select (select destination_id from queue where destination_id > ${after === '' ? LOWEST_ID : after}::uuid
              order by destination_id limit 1), 1
      union all
      select (select q.destination_id from queue q where q.destination_id > h.destination_id
              order by q.destination_id limit 1), number + 1
      from hop h where h.destination_id is not null and number < ${limit}
    )
    select h.destination_id as "destinationId", x.account_id as "accountId",
      (select case when q.waits then 'retries' else 'fresh' end from queue q
       where x.account_id is not null and x.disabled_at is null
         and q.destination_id = h.destination_id and q.due_at <= now() and q.leased_until is null
         and (q.waits or q.due_at <= now() - ${graceMs} * interval '1 ms')
       order by q.due_at limit 1) as "due",
      (select min(lost_count) from (
         select q.lost_count, q.leased_until from queue q
         where x.account_id is not null and x.disabled_at is null
           and q.destination_id = h.destination_id and q.due_at <= now()
         order by q.due_at limit ${sql.lit(LOST_AMONG_MAX)}
       ) oldest where leased_until <= now()) as "lost"
    from hop h left join lateral (
      select account_id, disabled_at from destination where id = h.destination_id limit 1
    ) x on true where h.destination_id is not null order by h.number`,

  findRetries: ({ after, limit }) => sql<FoundRetry>`
    select q.destination_id as "destinationId", x.account_id as "accountId",
           (extract(epoch from q.due_at) * 1000)::float8 as "dueAt"
    from (
      select destination_id, due_at from queue where waits and due_at > to_timestamp(${after / 1_000}) and due_at <= now()
      order by due_at limit ${limit}
    ) q cross join lateral (
      select account_id from destination where id = q.destination_id and disabled_at is null limit 1
    ) x order by q.due_at`,

  payloadPart: (eventId, offset) => sql<{ bytes: Buffer }>`
    select substring(payload from ${offset + 1} for ${PART_BYTES}) as bytes from event where id = ${eventId}`,

  ...LISTS,
};

/** Rows are found one by one by their keys: no plan reads a whole table, whatever the statistics say. */
export const CLEANING: CleaningStatements = {
  removeQueued: (destinationId, from, limit) => sql<{ dueAt: number }>`
    delete from queue where delivery_id = any(array(
      select delivery_id from queue where destination_id = ${destinationId} and due_at >= to_timestamp(${from / 1_000})
      order by due_at limit ${limit} for update skip locked
    )) returning (extract(epoch from due_at) * 1000)::float8 as "dueAt"`,

  removeDeliveries(ids, attemptsMax) {
    return [
      sql`
        delete from attempt where ctid = any(array(
          select a.ctid from unnest(${ids}::uuid[]) as p (id) cross join lateral (
            select ctid from attempt where delivery_id = p.id limit ${attemptsMax} for update skip locked
          ) a limit ${attemptsMax}
        )) returning 1`,
      sql`
        with removed as (
          delete from delivery where id = any(array(
            select d.id from unnest(${ids}::uuid[]) as p (id) cross join lateral (
              select x.id from delivery x
              where x.id = p.id and not exists (select from attempt where delivery_id = x.id)
              limit 1 for update skip locked
            ) d
          )) returning event_id, destination_id
        ), kept as (
          insert into removed_route (event_id, destination_id)
          select distinct r.event_id, r.destination_id from removed r cross join lateral (
            select account_id from event where id = r.event_id limit 1
          ) e cross join lateral (
            select from account where id = e.account_id and deleted_at is null limit 1
          ) a
          on conflict do nothing
        )
        select 1 from removed`,
    ];
  },

  removeEvents: (ids) => sql`
    delete from event where id = any(array(
      select e.id from unnest(${ids}::uuid[]) as p (id) cross join lateral (
        select id from event where id = p.id limit 1 for update skip locked
      ) e
    )) returning 1`,
};
