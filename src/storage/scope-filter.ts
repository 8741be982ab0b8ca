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
