import { sql } from 'kysely';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { isLivingAccount, isLivingDestination } from '../living.ts';
import type { KeyedId, Statements } from '../statements.ts';

export const LISTS: Pick<Statements, 'eventIdsOf' | 'deliveryIdsOf'> = {
  eventIdsOf: ({ parentIds, before, limit, scope }) => sql<KeyedId>`
    select e.account_id as key, e.id from json_each(${JSON.stringify(parentIds)}) p cross join event e on e.id in (
      select id from event where account_id = p.value and id < ${before} order by id desc limit ${limit}
    ) where ${isLivingAccount(sql`p.value`, scope)} order by e.id desc`,

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
      ) where ${isLivingDestination(sql`p.value`, scope)} order by d.id desc`;
  },
};
