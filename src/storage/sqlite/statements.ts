import { sql } from 'kysely';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { isVisibleAccount, isVisibleDestination } from '../scope.ts';
import type { FoundLane, FoundRetry } from '../searches.ts';
import { type KeyedId, LOST_AMONG_MAX, type Statements } from '../statements.ts';
import type { Clock } from '../../core/clock.ts';
import type { CleaningStatements } from '../cleaning.ts';
import { command } from '../typed-statement.ts';
import { claimBy, claimLanesBy, claimLostBy } from './claims.ts';
import { claimRatedBy } from './rated-claims.ts';
import { countDeliveries, findEarlierEvents, findRoutes, storeEventsBy } from './events.ts';
import type { StoreEvents } from './connection.ts';
import { recordBy } from './records.ts';

const LISTS: Pick<Statements, 'eventIdsOf' | 'deliveryIdsOf'> = {
  eventIdsOf: ({ parentIds, before, limit, scope }) => sql<KeyedId>`
    select e.account_id as key, e.id from json_each(${JSON.stringify(parentIds)}) p cross join event e on e.id in (
      select id from event where account_id = p.value and id < ${before} order by id desc limit ${limit}
    ) where ${isVisibleAccount(sql`p.value`, scope)} order by e.id desc`,

  // The index has the deliveries of a destination by status first: those of each are read as far as the page goes.
  deliveryIdsOf({ parentIds, before, limit, scope }, status) {
    const byStatus = (status === undefined ? DELIVERY_STATUSES : [status]).map(
      (one) => sql`
        select id from (
          select id from delivery where destination_id = p.value and status = ${one} and id < ${before}
          order by id desc limit ${limit}
        )`,
    );
    return sql<KeyedId>`
      select d.destination_id as key, d.id from json_each(${JSON.stringify(parentIds)}) p cross join delivery d on d.id in (
        select id from (${sql.join(byStatus, sql` union all `)}) order by id desc limit ${limit}
      ) where ${isVisibleDestination(sql`p.value`, scope)} order by d.id desc`;
  },
};

/** @param clock a database in a file has no time of its own */
export function sqliteStatements(clock: Clock): Statements<StoreEvents> {
  return {
    findRoutes,
    storeEvents: storeEventsBy(clock),
    findEarlierEvents,
    countDeliveries,
    claim: claimBy(clock),
    claimLanes: claimLanesBy(clock),
    claimLost: claimLostBy(clock),
    claimRated: claimRatedBy(clock),
    record: recordBy(clock),
    release,
    ...searchesBy(clock),
    // SQLite reads the whole value even for a part of it.
    payloadPart: (eventId) => sql<{ bytes: Buffer }>`select payload as bytes from event where id = ${eventId}`,
    ...LISTS,
  };
}

const release: Statements['release'] = (claims) => {
  const rows = JSON.stringify(claims.map(({ deliveryId, attempt }) => [deliveryId, attempt]));
  return command(sql`
    update queue set leased_until = null, attempt_count = attempt_count - 1
    from json_each(${rows}) c
    where delivery_id = c.value ->> 0 and attempt_count = c.value ->> 1 and leased_until is not null`);
};

function searchesBy(clock: Clock): Pick<Statements, 'recoverLeases' | 'findLanes' | 'findRetries'> {
  return {
    recoverLeases: () => sql`update queue set leased_until = ${clock.now()} where leased_until > ${clock.now()}`,

    // Hops from destination to destination by the index, and passes over the rows between.
    findLanes({ after, limit, graceMs }) {
      const now = clock.now();
      return sql<FoundLane>`
        with recursive hop (destination_id, number) as (
          select (select min(destination_id) from queue where destination_id > ${after}), 1
          union all
          select (select min(destination_id) from queue where destination_id > hop.destination_id), number + 1
          from hop where hop.destination_id is not null and number < ${limit}
        )
        select h.destination_id as "destinationId", x.account_id as "accountId",
          (select iif(q.waits, 'retries', 'fresh') from queue q
           where x.account_id is not null and x.disabled_at is null
             and q.destination_id = h.destination_id and q.due_at <= ${now} and q.leased_until is null
             and (q.waits or q.due_at <= ${now - graceMs})
           order by q.due_at limit 1) as "due",
          (select min(lost_count) from (
             select q.lost_count, q.leased_until from queue q
             where x.account_id is not null and x.disabled_at is null
               and q.destination_id = h.destination_id and q.due_at <= ${now}
             order by q.due_at limit ${sql.lit(LOST_AMONG_MAX)}
           ) where leased_until <= ${now}) as "lost"
        from hop h left join destination x on x.id = h.destination_id
        where h.destination_id is not null order by h.number`;
    },

    findRetries: ({ after, limit }) => sql<FoundRetry>`
      select q.destination_id as "destinationId", x.account_id as "accountId", q.due_at as "dueAt"
      from (
        select destination_id, due_at from queue where waits and due_at > ${after} and due_at <= ${clock.now()}
        order by due_at limit ${limit}
      ) q cross join destination x on x.id = q.destination_id and x.disabled_at is null`,
  };
}

export const CLEANING: CleaningStatements = {
  removeQueued: (destinationId, from, limit) => sql<{ dueAt: number }>`
    delete from queue where delivery_id in (
      select delivery_id from queue where destination_id = ${destinationId} and due_at >= ${from}
      order by due_at limit ${limit}
    ) returning due_at as "dueAt"`,

  removeDeliveries(ids, attemptsMax) {
    const list = JSON.stringify(ids);
    const isBare = sql`id in (select value from json_each(${list}))
          and not exists (select 1 from attempt where delivery_id = delivery.id)`;
    return [
      sql`
        delete from attempt where (delivery_id, number) in (
          select a.delivery_id, a.number from json_each(${list}) p cross join attempt a on a.delivery_id = p.value
          limit ${attemptsMax}
        ) returning 1`,
      sql`
        insert into removed_route (event_id, destination_id)
        select event_id, destination_id from delivery
        where ${isBare} and exists (
          select 1 from event e join account a on a.id = e.account_id where e.id = event_id and a.deleted_at is null
        )
        on conflict do nothing`,
      sql`delete from delivery where ${isBare} returning 1`,
    ];
  },

  removeEvents: (ids) => sql`
    delete from event where id in (select value from json_each(${JSON.stringify(ids)})) returning 1`,
};
