import { sql } from 'kysely';
import { RATE_BURST_SHARE } from '../../core/delivery-policy.ts';
import type { Clock } from '../../core/clock.ts';
import { command, type Statement, statement } from '../typed-statement.ts';
import { dueOf, lease, leaseEnd, lostOf, POLICY } from './leases.ts';
import {
  type ClaimRow,
  type LimitedDestination,
  RATE_SLACK,
  type RatedClaimRequest,
  type Statements,
} from '../statements.ts';

/** There is one writer, so the state needs no lock. */
export const claimRatedBy =
  (clock: Clock): Statements['claimRated'] =>
  (requests) => {
    const now = clock.now();
    const byDestination = new Map(requests.map((request) => [request.destinationId, request]));
    return [...byDestination.values()].flatMap((request) => claimOne(request, now));
  };

const EVERY = sql`(cast(x.rate_per_ms as double) / x.rate_count)`;
const BURST = sql`max(cast(x.rate_count * ${sql.lit(RATE_BURST_SHARE)} as integer), 1)`;

function claimOne(request: RatedClaimRequest, now: number): Statement<ClaimRow>[] {
  const { destinationId, lostMost, leaseMs, blame } = request;
  // A state further ahead than a burst is of an earlier limit, or of a clock that was set back.
  const latest = sql`${now} + ${EVERY} * ${BURST}`;
  const nextFrom = sql`min(max(next_at, ${now} - ${EVERY} * ${sql.lit(RATE_SLACK)}), ${latest})`;
  const limited = sql`
    destination x cross join destination_rate r on r.destination_id = x.id
    where x.id = ${destinationId} and x.rate_count is not null and x.disabled_at is null`;
  const most = lostMost === null ? request.limit : 1;
  // Rounded towards zero: what is below zero is nothing.
  const limit = sql`
    coalesce((select max(min(${most}, cast((${now} - ${nextFrom}) / ${EVERY} + ${BURST} as integer)), 0) from ${limited}), ${most})`;
  const rows = lostMost === null ? dueOf({ ...request, now, limit }) : lostOf({ destinationId, lostMost, now, limit });
  return [
    command(sql`
      insert into destination_rate (destination_id, next_at)
      select id, 0 from destination where id = ${destinationId} and rate_count is not null and disabled_at is null
      on conflict (destination_id) do nothing`),
    lease(leaseEnd(now, sql`${leaseMs}`), sql`${blame}`, sql`where delivery_id in (${rows})`),
    command(sql`
      update destination_rate set next_at = ${nextFrom} + ${EVERY} * changes() from destination x
      where destination_id = ${destinationId} and x.id = ${destinationId} and x.rate_count is not null
        and (changes() > 0 or next_at > ${latest})`),
    statement(sql<LimitedDestination>`
      select x.id as "destinationId", ${POLICY} as policy,
             max(r.next_at - ${EVERY} * (${BURST} - 1) - ${now}, 0) as "limitedForMs"
      from ${limited}`),
  ];
}
