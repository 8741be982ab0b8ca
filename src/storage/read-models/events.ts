import { sql } from 'kysely';
import { Delivery, type DeliveryEntity, Event, type EventEntity } from '../entities/index.ts';
import type { EntityManager } from '../storage.ts';
import { allFound, manyByKey, oneByKey } from './by-key.ts';
import { ID_BEYOND_ALL, type Page, type PageArguments, PageLoaders } from './page.ts';

interface KeyedId {
  readonly key: string;
  readonly id: string;
}

/** Events, their payloads and their fan-out, as one request reads them. */
export class EventReads {
  readonly #em: EntityManager;
  readonly #events;
  readonly #payloads;
  readonly #deliveriesOfEvent;
  readonly #eventsOfAccount;
  readonly #countOfAccount;

  constructor(em: EntityManager) {
    this.#em = em;
    this.#events = oneByKey(
      (ids) => em.find(Event, { id: { $in: [...ids] } }),
      ({ id }: EventEntity) => id,
    );
    this.#payloads = oneByKey(
      (ids) => this.#findPayloads(ids),
      ({ id }) => id,
    );
    this.#deliveriesOfEvent = manyByKey(
      (ids) => em.find(Delivery, { event: { $in: [...ids] } }, { orderBy: { id: 'asc' } }),
      ({ event }: DeliveryEntity) => event.id,
    );
    this.#eventsOfAccount = new PageLoaders((page: PageArguments, _filter: undefined) =>
      manyByKey(
        (ids) => this.#findIds(ids, page),
        ({ key }) => key,
      ),
    );
    this.#countOfAccount = oneByKey(
      (ids) => this.#count(ids),
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
    return (await this.#countOfAccount.load(accountId))?.count ?? 0;
  }

  async #findPayloads(ids: readonly string[]): Promise<{ id: string; payload: Buffer }[]> {
    const { rows } = await sql<{ id: string; payload: Buffer }>`
      select id, payload from event where id in (select value from json_each(${JSON.stringify(ids)}))`.execute(
      this.#em.getKysely(),
    );
    return rows;
  }

  async #findIds(accountIds: readonly string[], { first, after }: PageArguments): Promise<KeyedId[]> {
    const { rows } = await sql<KeyedId>`
      select e.account_id as key, e.id from json_each(${JSON.stringify(accountIds)}) a cross join event e on e.id in (
        select x.id from event x where x.account_id = a.value and x.id < ${after ?? ID_BEYOND_ALL}
        order by x.id desc limit ${first + 1}
      ) order by e.id desc`.execute(this.#em.getKysely());
    return rows;
  }

  async #count(accountIds: readonly string[]): Promise<{ key: string; count: number }[]> {
    const { rows } = await sql<{ key: string; count: number }>`
      select account_id as key, count(*) as count from event
      where account_id in (select value from json_each(${JSON.stringify(accountIds)})) group by account_id`.execute(
      this.#em.getKysely(),
    );
    return rows;
  }
}
