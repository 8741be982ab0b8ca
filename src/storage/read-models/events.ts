import { sql } from 'kysely';
import { includes, type Scope } from '../../core/scope.ts';
import { Event, type EventEntity } from '../entities/index.ts';
import { isLivingAccount } from '../living.ts';
import type { KeyedId, Statements } from '../statements.ts';
import type { EntityManager } from '../storage.ts';
import { allFound, type Count, COUNT_LIMIT, COUNTS_PER_STATEMENT, exactly, manyByKey, oneByKey } from './by-key.ts';
import { select } from './select.ts';
import type { Meter } from './meter.ts';
import { ID_BEYOND_ALL, type Page, type PageArguments, PageLoaders } from './page.ts';
import { PayloadReads } from './payloads.ts';

/** Events and their payloads, as one request reads them. */
export class EventReads {
  readonly #em: EntityManager;
  readonly #statements: Statements;
  readonly #scope: Scope;
  readonly #events;
  readonly #payloads;
  readonly #eventsOfAccount;
  readonly #countOfAccount;

  constructor(em: EntityManager, statements: Statements, scope: Scope, meter: Meter) {
    this.#em = em;
    this.#statements = statements;
    this.#scope = scope;
    this.#payloads = new PayloadReads(em, scope, meter);
    this.#events = oneByKey(
      meter,
      (ids) => em.find(Event, { id: { $in: [...ids] } }),
      ({ id }: EventEntity) => id,
    );
    this.#eventsOfAccount = new PageLoaders((page: PageArguments, _filter: undefined) =>
      manyByKey(
        meter,
        (ids) => this.#findIds(this.#inScope(ids), page),
        ({ key }) => key,
        page.first + 1,
      ),
    );
    this.#countOfAccount = oneByKey(
      meter,
      (ids) => this.#count(this.#inScope(ids)),
      ({ key }) => key,
      COUNTS_PER_STATEMENT,
    );
  }

  event(id: string): Promise<EventEntity | undefined> {
    return this.#events.load(id);
  }

  /** The received bytes; `undefined` when the event was deleted meanwhile. @throws DomainError TOO_EXPENSIVE */
  payload(eventId: string): Promise<Buffer | undefined> {
    return this.#payloads.payload(eventId);
  }

  /** Newest first. */
  async eventsOf(accountId: string, page: PageArguments): Promise<Page<EventEntity>> {
    const ids = await this.#eventsOfAccount.load(accountId, page, undefined);
    return { ...ids, rows: await allFound(this.#events, ids.rows) };
  }

  /** @returns `null` when there are more than 10,000. */
  async eventCountOf(accountId: string): Promise<number | null> {
    return exactly((await this.#countOfAccount.load(accountId))?.count);
  }

  /** The mapper's filter does not reach statements that are not its own. */
  #inScope(accountIds: readonly string[]): readonly string[] {
    return accountIds.filter((id) => includes(this.#scope, id));
  }

  async #findIds(parentIds: readonly string[], { first, after }: PageArguments): Promise<KeyedId[]> {
    const page = { parentIds, before: after ?? ID_BEYOND_ALL, limit: first + 1, scope: this.#scope };
    return select(this.#em, this.#statements.eventIdsOf(page));
  }

  async #count(accountIds: readonly string[]): Promise<Count[]> {
    if (accountIds.length === 0) {
      return [];
    }
    return select(
      this.#em,
      sql<Count>`
      select a.id as key, (
        select count(*) from (select 1 from event e where e.account_id = a.id limit ${COUNT_LIMIT}) counted
      ) as count
      from account a
      where a.id in (${sql.join(accountIds)}) and ${isLivingAccount(sql`a.id`, this.#scope)}`,
    );
  }
}
