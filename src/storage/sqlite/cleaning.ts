import { sql } from 'kysely';
import type { CleaningStatements } from '../cleaning.ts';

export const CLEANING: CleaningStatements = {
  removeQueued: (destinationId, from, limit) => sql<{ dueAt: number }>`
    delete from queue where delivery_id in (
      select delivery_id from queue where destination_id = ${destinationId} and due_at >= ${from}
      order by due_at limit ${limit}
    ) returning due_at as "dueAt"`,

  removeDeliveries(ids, attemptsMax) {
    const list = JSON.stringify(ids);
    return [
      sql`
        delete from attempt where (delivery_id, number) in (
          select a.delivery_id, a.number from json_each(${list}) p cross join attempt a on a.delivery_id = p.value
          limit ${attemptsMax}
        ) returning 1`,
      sql`
        delete from delivery where id in (select value from json_each(${list}))
          and not exists (select 1 from attempt where delivery_id = delivery.id)
        returning 1`,
    ];
  },

  removeEvents: (ids) => sql`
    delete from event where id in (select value from json_each(${JSON.stringify(ids)})) returning 1`,
};
