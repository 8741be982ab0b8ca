import { sql } from 'kysely';
import { DESTINATIONS_PER_ACCOUNT_MAX } from '../../core/inputs.ts';
import { DomainError } from '../../core/errors.ts';
import { EVERYTHING, type Scope } from '../../core/scope.ts';
import { Account, type AccountEntity, Destination, type DestinationEntity } from '../entities.ts';
import type { EntityManager } from '@mikro-orm/sql';
import {
  type Count,
  COUNT_LIMIT,
  exactly,
  manyByKey,
  type Meter,
  oneByKey,
  type Page,
  type PageArguments,
  select,
  toPage,
} from './reading.ts';

/** Reads of accounts and their destinations, for one request. */
export class AccountReads {
  readonly #em: EntityManager;
  readonly #scope: Scope;
  readonly #meter: Meter;
  readonly #accounts;
  readonly #destinations;
  readonly #destinationsOfAccount;

  constructor(em: EntityManager, scope: Scope, meter: Meter) {
    this.#em = em;
    this.#meter = meter;
    this.#scope = scope;
    this.#accounts = oneByKey(
      meter,
      (ids) => em.find(Account, { id: { $in: [...ids] } }),
      ({ id }: AccountEntity) => id,
    );
    this.#destinations = oneByKey(
      meter,
      (ids) => em.find(Destination, { id: { $in: [...ids] } }),
      ({ id }: DestinationEntity) => id,
    );
    this.#destinationsOfAccount = manyByKey(
      meter,
      (ids) => em.find(Destination, { account: { $in: [...ids] } }, { orderBy: { id: 'asc' } }),
      ({ account }: DestinationEntity) => account.id,
      DESTINATIONS_PER_ACCOUNT_MAX,
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
    const rows = await this.#meter.read(() =>
      this.#em.find(Account, where, { orderBy: { id: 'asc' }, limit: page.first + 1 }),
    );
    return toPage(rows, page);
  }

  /** @returns `null` when there are more than 10,000. @throws DomainError FORBIDDEN */
  async accountCount(): Promise<number | null> {
    this.#requireEverything();
    const counted = sql<Omit<Count, 'key'>>`
      select count(*) as count from (select 1 from account where deleted_at is null limit ${COUNT_LIMIT}) counted`;
    const [row] = await this.#meter.read(() => select(this.#em, counted));
    return exactly(row?.count);
  }

  #requireEverything(): void {
    if (this.#scope !== EVERYTHING) {
      throw DomainError.forbidden('Only the administrator may list accounts.');
    }
  }
}
