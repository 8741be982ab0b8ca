/** The data that a unit of work may read and change. */
export type Scope = typeof EVERYTHING | { readonly accountId: string };

export const EVERYTHING = 'everything' as const;

/** True when the scope contains this account and its data. */
export function includes(scope: Scope, accountId: string): boolean {
  return scope === EVERYTHING || scope.accountId === accountId;
}
