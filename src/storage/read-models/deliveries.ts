import type DataLoader from 'dataloader';
import { sql } from 'kysely';
import type { DeliveryStatus } from '../../core/delivery.ts';
import { EVERYTHING, type Scope } from '../../core/scope.ts';
import { Attempt, type AttemptEntity, Delivery, type DeliveryEntity } from '../entities/index.ts';
import type { KeyedId, Statements } from '../statements.ts';
import type { EntityManager } from '../storage.ts';
import { allFound, type Count, manyByKey, oneByKey } from './by-key.ts';
import { ID_BEYOND_ALL, type Page, type PageArguments, PageLoaders } from './page.ts';

export type StatusFilter = DeliveryStatus | undefined;

/** Deliveries and their attempts, as one request reads them. */
export class DeliveryReads {
  readonly #em: EntityManager;
  readonly #statements: Statements;
  readonly #scope: Scope;
  readonly #deliveries;
  readonly #attempts;
  readonly #deliveriesOfDestination;
  readonly #counts = new Map<StatusFilter, DataLoader<string, Count | undefined>>();

  constructor(em: EntityManager, statements: Statements, scope: Scope) {
    this.#em = em;
    this.#statements = statements;
    this.#scope = scope;
    this.#deliveries = oneByKey(
      (ids) => em.find(Delivery, { id: { $in: [...ids] } }),
      ({ id }: DeliveryEntity) => id,
    );
    this.#attempts = manyByKey(
      (ids) => em.find(Attempt, { delivery: { $in: [...ids] } }, { orderBy: { delivery: 'asc', number: 'asc' } }),
      ({ delivery }: AttemptEntity) => delivery.id,
    );
    this.#deliveriesOfDestination = new PageLoaders((page: PageArguments, status: StatusFilter) =>
      manyByKey(
        (ids) => this.#findIds(ids, page, status),
        ({ key }) => key,
      ),
    );
  }

  delivery(id: string): Promise<DeliveryEntity | undefined> {
    return this.#deliveries.load(id);
  }

  /** In the order they were made. */
  attemptsOf(deliveryId: string): Promise<readonly AttemptEntity[]> {
    return this.#attempts.load(deliveryId);
  }

  /** Newest first. */
  async deliveriesOf(destinationId: string, page: PageArguments, status: StatusFilter): Promise<Page<DeliveryEntity>> {
    const ids = await this.#deliveriesOfDestination.load(destinationId, page, status);
    return { ...ids, rows: await allFound(this.#deliveries, ids.rows) };
  }

  async deliveryCountOf(destinationId: string, status: StatusFilter): Promise<number> {
    const loader =
      this.#counts.get(status) ??
      oneByKey(
        (ids) => this.#count(ids, status),
        ({ key }) => key,
      );
    this.#counts.set(status, loader);
    return Number((await loader.load(destinationId))?.count ?? 0);
  }

  async #count(destinationIds: readonly string[], status: StatusFilter): Promise<Count[]> {
    const own =
      this.#scope === EVERYTHING
        ? sql``
        : sql`and destination_id in (select id from destination where account_id = ${this.#scope.accountId})`;
    const { rows } = await sql<Count>`
      select destination_id as key, count(*) as count from delivery
      where destination_id in (${sql.join(destinationIds)}) ${own} ${status === undefined ? sql`` : sql`and status = ${sql.lit(status)}`}
      group by destination_id`.execute(this.#em.getKysely());
    return rows;
  }

  async #findIds(
    parentIds: readonly string[],
    { first, after }: PageArguments,
    status: StatusFilter,
  ): Promise<KeyedId[]> {
    const page = { parentIds, before: after ?? ID_BEYOND_ALL, limit: first + 1, scope: this.#scope };
    return (await this.#statements.deliveryIdsOf(page, status).execute(this.#em.getKysely())).rows;
  }
}
