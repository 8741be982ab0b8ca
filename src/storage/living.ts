import { type RawBuilder, sql } from 'kysely';
import { EVERYTHING, type Scope } from '../core/scope.ts';

/**
 * For statements that are not the mapper's, which its filter does not reach: whether an account is in the scope
 * and not deleted. What hangs below is there as long as it is. A subquery of one value, so that it is a look-up
 * by key whatever the planner believes of the tables.
 *
 * @param id of the account, as the statement names it
 */
export function isLivingAccount(id: RawBuilder<unknown>, scope: Scope): RawBuilder<unknown> {
  const own = scope === EVERYTHING ? sql`` : sql`and living.id = ${scope.accountId}`;
  return sql`(select living.deleted_at is null ${own} from account living where living.id = ${id})`;
}

/** The same for a destination. An account that is deleted has taken all of its own along. */
export function isLivingDestination(id: RawBuilder<unknown>, scope: Scope): RawBuilder<unknown> {
  const own = scope === EVERYTHING ? sql`` : sql`and living.account_id = ${scope.accountId}`;
  return sql`(select living.deleted_at is null ${own} from destination living where living.id = ${id})`;
}
