import { EVERYTHING, type Scope } from '../core/scope.ts';
import type { EntityManager } from './storage.ts';

const NAME = 'scope';

/**
 * A filter that every entity has, and that the mapper adds to every statement by itself: what is outside the
 * scope of a unit of work does not exist to it. A unit of work without a scope is an error of the program, and
 * the mapper refuses its first statement.
 *
 * @param own the condition of the rows that are this account's
 */
export function scopeFilter<Condition extends object>(own: (accountId: string) => Condition) {
  const cond = ({ scope }: { scope: Scope }): Partial<Condition> => (scope === EVERYTHING ? {} : own(scope.accountId));
  return { [NAME]: { name: NAME, default: true, cond } };
}

export function withScope(em: EntityManager, scope: Scope): EntityManager {
  em.setFilterParams(NAME, { scope });
  return em;
}
