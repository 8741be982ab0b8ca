import { type RawBuilder, sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import { PARKED_UNTIL } from '../delivery-order.ts';
import { type Statement, statement } from '../typed-statement.ts';
import { dueOf, lease, leaseEnd, lostOf, POLICY } from './leases.ts';
import type { ClaimRow, LaneClaimRequest, LimitedDestination, LostClaimRequest, Statements } from '../statements.ts';

export const claimBy =
  (clock: Clock): Statements['claim'] =>
  (requests) => {
    const now = clock.now();
    const tickets = JSON.stringify(
      requests.map(({ ticket, leaseMs, blame }) => [ticket.deliveryId, ticket.attempt, leaseMs, blame]),
    );
    const ids = requests.map(({ ticket }) => ticket.destinationId);
    return [
      lease(
        leaseEnd(now, sql`t.value ->> 2`),
        sql`t.value ->> 3`,
        sql`
        from json_each(${tickets}) t
        where delivery_id = t.value ->> 0 and attempt_count = t.value ->> 1
          and leased_until is null and due_at < ${sql.lit(PARKED_UNTIL)} and ${isPlain(sql`destination_id`)}`,
      ),
      // Nothing is looked up when every ticket was good.
      limitedAmong(ids, sql`(select 1 where changes() < ${requests.length}) cross join`),
    ];
  };

/** One statement for each destination, because SQLite must know a limit when the statement begins. */
export const claimLanesBy =
  (clock: Clock): Statements['claimLanes'] =>
  (requests) => {
    const now = clock.now();
    return claimEach(requests, now, ({ limit, ...request }) => dueOf({ ...request, now, limit: sql`${limit}` }));
  };

export const claimLostBy =
  (clock: Clock): Statements['claimLost'] =>
  (requests) => {
    const now = clock.now();
    return claimEach(requests, now, (request) => lostOf({ ...request, now, limit: sql`1` }));
  };

/** @param rowsOf the keys of what a request is to get */
function claimEach<Request extends LaneClaimRequest | LostClaimRequest>(
  requests: readonly Request[],
  now: number,
  rowsOf: (request: Request) => RawBuilder<unknown>,
): Statement<ClaimRow>[] {
  return [
    ...requests.map((request) =>
      lease(
        leaseEnd(now, sql`${request.leaseMs}`),
        sql`${request.blame}`,
        sql`where ${isPlain(sql`${request.destinationId}`)} and delivery_id in (${rowsOf(request)})`,
      ),
    ),
    limitedAmong(requests.map(({ destinationId }) => destinationId)),
  ];
}

/** Enabled, and without a rate limit. */
function isPlain(destinationId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    exists (select 1 from destination where id = ${destinationId} and disabled_at is null and rate_count is null)`;
}

/** Nobody has looked when the next attempt is allowed: rated claims do. */
function limitedAmong(ids: readonly string[], before = sql``): Statement<LimitedDestination> {
  return statement(sql<LimitedDestination>`
    select x.id as "destinationId", ${POLICY} as policy, 0 as "limitedForMs"
    from ${before} json_each(${JSON.stringify([...new Set(ids)])}) d cross join destination x on x.id = d.value
    where rate_count is not null and disabled_at is null`);
}
