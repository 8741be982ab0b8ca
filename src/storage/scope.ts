import { type RawBuilder, sql } from 'kysely';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import type { EntityManager } from './storage.ts';

const NAME = 'scope';

/**
 * A filter that every entity has, and that the mapper adds to every statement by itself: what is outside the
 * scope of a unit of work does not exist to it, and what is marked as deleted exists to nobody. A unit of work
 * without a scope is an error of the program, and the mapper refuses its first statement.
 *
 * @param living the condition of the rows that are not deleted, and this account's if one is given
 */
export function scopeFilter<Condition extends object>(living: (accountId?: string) => Condition) {
  const cond = ({ scope }: { scope: Scope }): Condition => (scope === EVERYTHING ? living() : living(scope.accountId));
  return { [NAME]: { name: NAME, default: true, cond } };
}

export function withScope(em: EntityManager, scope: Scope): EntityManager {
  em.setFilterParams(NAME, { scope });
  return em;
}

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
