/** Whose data a piece of work may read and change. */
export type Scope = typeof EVERYTHING | { readonly accountId: string };

export const EVERYTHING = 'everything' as const;

/** Is this account, or what belongs to it, in the scope? */
export function includes(scope: Scope, accountId: string): boolean {
  return scope === EVERYTHING || scope.accountId === accountId;
}
