import { sql } from 'kysely';
import { RATE_BURST_SHARE } from '../../core/delivery-policy.ts';
import { demandsOf, dueOf, IS_PLAIN, lease, LEASE_MS, lostOf } from './leases.ts';
import { RATE_SLACK, type Statements } from '../statements.ts';
import { command } from '../typed-statement.ts';

/**
 * The first statement gives each destination its row, so that the second can lock it. Rows are locked in the order of
 * their ids. A state further ahead than a burst is of an earlier limit, or of a clock that was set back.
 */
export const claimRated: Statements['claimRated'] = (requests) => {
  const lane = sql`select distinct on (id) * from ${demandsOf(requests)} order by id`;
  const due = sql`
    with lane as materialized (
      ${lane}
    ), locked as materialized (
      select d.*, ${LEASE_MS} as own_lease_ms, ${IS_PLAIN}, x.rate_per_ms::float8 / x.rate_count as every,
             greatest(floor(x.rate_count * ${sql.lit(RATE_BURST_SHARE)}), 1) as burst, r.next_at
      from lane d cross join lateral (
        select timeout_ms, rate_count, rate_per_ms from destination where id = d.id and disabled_at is null limit 1
      ) x left join lateral (
        select next_at from destination_rate where destination_id = d.id limit 1 for update
      ) r on true
    ), clock as materialized (
      select extract(epoch from clock_timestamp())::float8 * 1000 as at from (select count(*) from locked) l
    ), rate as materialized (
      select l.*, c.at,
             least(greatest(l.next_at, c.at - l.every * ${sql.lit(RATE_SLACK)}), c.at + l.every * l.burst) as next_from
      from locked l cross join clock c
    ), allowed as materialized (
      select *, lost_most is not null as is_rescue, case when is_plain then most
                     else greatest(least(most, floor((at - next_from) / every) + burst), 0) end::int as count
      from rate
    ), due as materialized (
      select q.*, d.own_lease_ms as lease_ms, d.blame
      from allowed d cross join lateral (${dueOf(sql`d.count`)}) q where not d.is_rescue
      union all
      select q.*, d.own_lease_ms, d.blame
      from allowed d cross join lateral (${lostOf({ nth: sql`1`, limit: sql`least(d.count, 1)` })}) q
      where d.is_rescue
    )`;
  const limited = sql`
    spent as materialized (
      select d.*, d.next_from + d.every * (select count(*) from claimed where destination_id = d.id) as spent_at
      from rate d where not d.is_plain
    ), counted as (
      update destination_rate r set next_at = s.spent_at from spent s
      where r.destination_id = s.id and (s.spent_at > s.next_from or s.next_at > s.next_from)
        and r.destination_id = any (array(select id from spent))
    ), limited as (
      select id as destination_id, greatest(spent_at - every * (burst - 1) - at, 0) as for_ms from spent
    )`;
  return [
    command(sql`
      insert into destination_rate (destination_id, next_at)
      select d.id, 0 from (${lane}) d cross join lateral (
        select from destination where id = d.id and disabled_at is null and rate_count is not null limit 1
      ) x
      on conflict (destination_id) do nothing`),
    lease(due, limited),
  ];
};
