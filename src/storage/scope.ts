import { type RawBuilder, sql } from 'kysely';
import type { EntityManager } from '@mikro-orm/sql';
import { EVERYTHING, type Scope } from '../core/scope.ts';

const NAME = 'scope';

/**
 * A filter that every entity has. The mapper adds it to each of its statements: a unit of work sees no rows outside its
 * scope, and no deleted rows. A unit of work without a scope is an error of the program, and the mapper refuses its
 * first statement.
 *
 * @param visible the condition for rows that are not deleted, and that belong to this account if one is given
 */
export function scopeFilter<Condition extends object>(visible: (accountId?: string) => Condition) {
  const cond = ({ scope }: { scope: Scope }): Condition =>
    scope === EVERYTHING ? visible() : visible(scope.accountId);
  return { [NAME]: { name: NAME, default: true, cond } };
}

export function withScope(em: EntityManager, scope: Scope): EntityManager {
  em.setFilterParams(NAME, { scope });
  return em;
}

/**
 * Whether an account is in the scope and not deleted. The mapper's filter does not reach handwritten statements: they
 * need this, for an account or a destination above their rows. It is a subquery of one value, which the planner always
 * looks up by key, whatever its statistics say.
 *
 * @param id of the account, as the statement names it
 */
export function isVisibleAccount(id: RawBuilder<unknown>, scope: Scope): RawBuilder<unknown> {
  const own = scope === EVERYTHING ? sql`` : sql`and visible.id = ${scope.accountId}`;
  return sql`(select visible.deleted_at is null ${own} from account visible where visible.id = ${id})`;
}

/** The same for a destination. Deleting an account deletes all its destinations. */
export function isVisibleDestination(id: RawBuilder<unknown>, scope: Scope): RawBuilder<unknown> {
  const own = scope === EVERYTHING ? sql`` : sql`and visible.account_id = ${scope.accountId}`;
  return sql`(select visible.deleted_at is null ${own} from destination visible where visible.id = ${id})`;
}
