import { sql } from 'kysely';
import { deliveryIdOf, ORDINAL_MAX } from '../../core/ids.ts';
import { EVERYTHING, includes, type Scope } from '../../core/scope.ts';
import { Delivery, type DeliveryEntity, Event, type EventEntity } from '../entities/index.ts';
import type { KeyedId, Statements } from '../statements.ts';
import type { EntityManager } from '../storage.ts';
import { allFound, type Count, manyByKey, oneByKey } from './by-key.ts';
import { ID_BEYOND_ALL, type Page, type PageArguments, PageLoaders } from './page.ts';

/** Events, their payloads and their fan-out, as one request reads them. */
export class EventReads {
  readonly #em: EntityManager;
  readonly #statements: Statements;
  readonly #scope: Scope;
  readonly #events;
  readonly #payloads;
  readonly #deliveriesOfEvent;
  readonly #eventsOfAccount;
  readonly #countOfAccount;

  constructor(em: EntityManager, statements: Statements, scope: Scope) {
    this.#em = em;
    this.#statements = statements;
    this.#scope = scope;
    this.#events = oneByKey(
      (ids) => em.find(Event, { id: { $in: [...ids] } }),
      ({ id }: EventEntity) => id,
    );
    this.#payloads = oneByKey(
      (ids) => this.#findPayloads(ids),
      ({ id }) => id,
    );
    this.#deliveriesOfEvent = manyByKey(
      (ids) => em.find(Delivery, { $or: ids.map(deliveriesOfEvent) }, { orderBy: { id: 'asc' } }),
      ({ event }: DeliveryEntity) => event.id,
    );
    this.#eventsOfAccount = new PageLoaders((page: PageArguments, _filter: undefined) =>
      manyByKey(
        (ids) => this.#findIds(this.#inScope(ids), page),
        ({ key }) => key,
      ),
    );
    this.#countOfAccount = oneByKey(
      (ids) => this.#count(this.#inScope(ids)),
      ({ key }) => key,
    );
  }

  event(id: string): Promise<EventEntity | undefined> {
    return this.#events.load(id);
  }

  /** The received bytes; `undefined` when the event was deleted meanwhile. */
  async payload(eventId: string): Promise<Buffer | undefined> {
    return (await this.#payloads.load(eventId))?.payload;
  }

  deliveriesOf(eventId: string): Promise<readonly DeliveryEntity[]> {
    return this.#deliveriesOfEvent.load(eventId);
  }

  /** Newest first. */
  async eventsOf(accountId: string, page: PageArguments): Promise<Page<EventEntity>> {
    const ids = await this.#eventsOfAccount.load(accountId, page, undefined);
    return { ...ids, rows: await allFound(this.#events, ids.rows) };
  }

  async eventCountOf(accountId: string): Promise<number> {
    return Number((await this.#countOfAccount.load(accountId))?.count ?? 0);
  }

  /** The mapper's filter does not reach statements that are not its own. */
  #inScope(accountIds: readonly string[]): readonly string[] {
    return accountIds.filter((id) => includes(this.#scope, id));
  }

  async #findPayloads(ids: readonly string[]): Promise<{ id: string; payload: Buffer }[]> {
    const own = this.#scope === EVERYTHING ? sql`` : sql`and account_id = ${this.#scope.accountId}`;
    const { rows } = await sql<{ id: string; payload: Buffer }>`
      select id, payload from event where id in (${sql.join(ids)}) ${own}`.execute(this.#em.getKysely());
    return rows;
  }

  async #findIds(parentIds: readonly string[], { first, after }: PageArguments): Promise<KeyedId[]> {
    const page = { parentIds, before: after ?? ID_BEYOND_ALL, limit: first + 1 };
    return (await this.#statements.eventIdsOf(page).execute(this.#em.getKysely())).rows;
  }

  async #count(accountIds: readonly string[]): Promise<Count[]> {
    if (accountIds.length === 0) {
      return [];
    }
    const { rows } = await sql<Count>`
      select account_id as key, count(*) as count from event
      where account_id in (${sql.join(accountIds)}) group by account_id`.execute(this.#em.getKysely());
    return rows;
  }
}

/** They are a range of keys, because their ids begin as that of their event. */
function deliveriesOfEvent(eventId: string) {
  return { id: { $gt: eventId, $lte: deliveryIdOf(eventId, ORDINAL_MAX) } };
}
