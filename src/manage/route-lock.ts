import { LockMode } from '../storage/errors.ts';
import { Account, type AccountEntity } from '../storage/entities.ts';
import type { EntityManager } from '../storage/storage.ts';

/**
 * Begins a change of where an account's events go: locks the account's row and counts the change in its version. Ingest
 * locks the row too when it stores an event, and compares the version. So an event is fanned out by the routes that
 * hold at its commit, and none by the old ones after the change. The account's row is locked before those of its
 * destinations, everywhere: two transactions never wait for each other in a circle.
 *
 * @returns null when there is no such account in the scope
 */
export async function lockRoutes(em: EntityManager, accountId: string): Promise<AccountEntity | null> {
  const account = await em.findOne(Account, { id: accountId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (account !== null) {
    account.routingVersion += 1;
  }
  return account;
}
