import { sql } from 'kysely';
import type { CleaningStatements } from '../cleaning.ts';

/** Rows are found one by one by their keys: no plan reads a table as a whole, whatever the statistics say. */
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
        delete from delivery where id = any(array(
          select d.id from unnest(${ids}::uuid[]) as p (id) cross join lateral (
            select x.id from delivery x
            where x.id = p.id and not exists (select from attempt where delivery_id = x.id)
            limit 1 for update skip locked
          ) d
        )) returning 1`,
    ];
  },

  removeEvents: (ids) => sql`
    delete from event where id = any(array(
      select e.id from unnest(${ids}::uuid[]) as p (id) cross join lateral (
        select id from event where id = p.id limit 1 for update skip locked
      ) e
    )) returning 1`,
};
