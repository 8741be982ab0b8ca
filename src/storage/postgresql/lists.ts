import { sql } from 'kysely';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { isLivingAccount, isLivingDestination } from '../living.ts';
import type { KeyedId, Statements } from '../statements.ts';

export const LISTS: Pick<Statements, 'eventIdsOf' | 'deliveryIdsOf'> = {
  eventIdsOf: ({ parentIds, before, limit, scope }) => sql<KeyedId>`
    select p.id as key, e.id from unnest(${parentIds}::uuid[]) as p (id) cross join lateral (
      select x.id from event x where x.account_id = p.id and x.id < ${before} order by x.id desc limit ${limit}
    ) e where ${isLivingAccount(sql`p.id`, scope)} order by e.id desc`,

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
      ) d where ${isLivingDestination(sql`p.id`, scope)} order by d.id desc`;
  },
};
