import { sql } from 'kysely';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { EVERYTHING } from '../../core/scope.ts';
import type { KeyedId, Statements } from '../statements.ts';

export const LISTS: Pick<Statements, 'eventIdsOf' | 'deliveryIdsOf'> = {
  eventIdsOf: ({ parentIds, before, limit }) => sql<KeyedId>`
    select e.account_id as key, e.id from json_each(${JSON.stringify(parentIds)}) p cross join event e on e.id in (
      select id from event where account_id = p.value and id < ${before} order by id desc limit ${limit}
    ) order by e.id desc`,

  // The index has the deliveries of a destination by status first: those of each are read as far as the page goes.
  deliveryIdsOf({ parentIds, before, limit, scope }, status) {
    const own =
      scope === EVERYTHING
        ? sql``
        : sql`where p.value in (select id from destination where account_id = ${scope.accountId})`;
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
      ) ${own} order by d.id desc`;
  },
};
