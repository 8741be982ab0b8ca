import { DomainError } from '../../core/errors.ts';
import { EVERYTHING, type Scope } from '../../core/scope.ts';
import { Account, type AccountEntity, Destination, type DestinationEntity } from '../entities/index.ts';
import type { EntityManager } from '../storage.ts';
import { manyByKey, oneByKey } from './by-key.ts';
import { type Page, type PageArguments, toPage } from './page.ts';

/** Accounts and their destinations, as one request reads them. */
export class AccountReads {
  readonly #em: EntityManager;
  readonly #scope: Scope;
  readonly #accounts;
  readonly #destinations;
  readonly #destinationsOfAccount;

  constructor(em: EntityManager, scope: Scope) {
    this.#em = em;
    this.#scope = scope;
    this.#accounts = oneByKey(
      (ids) => em.find(Account, { id: { $in: [...ids] } }),
      ({ id }: AccountEntity) => id,
    );
    this.#destinations = oneByKey(
      (ids) => em.find(Destination, { id: { $in: [...ids] } }),
      ({ id }: DestinationEntity) => id,
    );
    this.#destinationsOfAccount = manyByKey(
      (ids) => em.find(Destination, { account: { $in: [...ids] } }, { orderBy: { id: 'asc' } }),
      ({ account }: DestinationEntity) => account.id,
    );
  }

  account(id: string): Promise<AccountEntity | undefined> {
    return this.#accounts.load(id);
  }

  destination(id: string): Promise<DestinationEntity | undefined> {
    return this.#destinations.load(id);
  }

  /** In the order they were created. */
  destinationsOf(accountId: string): Promise<readonly DestinationEntity[]> {
    return this.#destinationsOfAccount.load(accountId);
  }

  /** In the order they were created. @throws DomainError FORBIDDEN */
  async accounts(page: PageArguments): Promise<Page<AccountEntity>> {
    this.#requireEverything();
    const where = page.after === undefined ? {} : { id: { $gt: page.after } };
    return toPage(await this.#em.find(Account, where, { orderBy: { id: 'asc' }, limit: page.first + 1 }), page);
  }

  /** @throws DomainError FORBIDDEN */
  async accountCount(): Promise<number> {
    this.#requireEverything();
    return this.#em.count(Account);
  }

  #requireEverything(): void {
    if (this.#scope !== EVERYTHING) {
      throw DomainError.forbidden('Only the administrator may list accounts.');
    }
  }
}
