import type DataLoader from 'dataloader';
import { sql } from 'kysely';
import type { DeliveryStatus } from '../../core/delivery.ts';
import { DESTINATIONS_PER_ACCOUNT_MAX } from '../../core/destination-input.ts';
import { DomainError } from '../../core/errors.ts';
import { deliveryIdOf, ORDINAL_MAX } from '../../core/ids.ts';
import type { Scope } from '../../core/scope.ts';
import { isLivingDestination } from '../living.ts';
import type { KeyedId, Statements } from '../statements.ts';
import type { EntityManager } from '../storage.ts';
import { allFound, type Count, COUNT_LIMIT, COUNTS_PER_STATEMENT, exactly, manyByKey, oneByKey } from './by-key.ts';
import { type AttemptRow, type DeliveryRow, findAttempts, findBodies, findDeliveries } from './delivery-rows.ts';
import { select } from './select.ts';
import type { Meter } from './meter.ts';
import { ID_BEYOND_ALL, type Page, type PageArguments, PageLoaders } from './page.ts';

export type StatusFilter = DeliveryStatus | undefined;

/** A delivery has so many by the usual schedule; each manual retry begins it anew. */
const ATTEMPTS_USUAL = 20;
const ATTEMPTS_PER_STATEMENT_MAX = 10_000;

/** Deliveries and their attempts, as one request reads them. */
export class DeliveryReads {
  readonly #em: EntityManager;
  readonly #statements: Statements;
  readonly #scope: Scope;
  readonly #meter: Meter;
  readonly #deliveries;
  readonly #ofEvent;
  readonly #attempts;
  readonly #bodies;
  readonly #deliveriesOfDestination;
  readonly #counts = new Map<StatusFilter, DataLoader<string, Count | undefined>>();

  constructor(em: EntityManager, statements: Statements, scope: Scope, meter: Meter) {
    this.#em = em;
    this.#statements = statements;
    this.#scope = scope;
    this.#meter = meter;
    this.#deliveries = oneByKey(
      meter,
      (ids) => findDeliveries(em, scope, sql`d.id in (${sql.join(ids)})`),
      ({ id }: DeliveryRow) => id,
    );
    this.#ofEvent = manyByKey(
      meter,
      (ids) => findDeliveries(em, scope, sql.join(ids.map(ofEvent), sql` or `)),
      ({ event }: DeliveryRow) => event.id,
      DESTINATIONS_PER_ACCOUNT_MAX,
    );
    this.#attempts = manyByKey(
      meter,
      (ids) => this.#findAttempts(ids),
      ({ deliveryId }: AttemptRow) => deliveryId,
      ATTEMPTS_USUAL,
    );
    this.#bodies = oneByKey(
      meter,
      (keys) => findBodies(em, scope, keys.map(attemptOf)),
      (row) => keyOf(row),
    );
    this.#deliveriesOfDestination = new PageLoaders((page: PageArguments, status: StatusFilter) =>
      manyByKey(
        meter,
        (ids) => this.#findIds(ids, page, status),
        ({ key }) => key,
        page.first + 1,
      ),
    );
  }

  delivery(id: string): Promise<DeliveryRow | undefined> {
    return this.#deliveries.load(id);
  }

  /** In the order of the destinations' creation. */
  deliveriesOfEvent(eventId: string): Promise<readonly DeliveryRow[]> {
    return this.#ofEvent.load(eventId);
  }

  /** In the order they were made. */
  attemptsOf(deliveryId: string): Promise<readonly AttemptRow[]> {
    return this.#attempts.load(deliveryId);
  }

  /** The beginning of what the destination answered. @throws DomainError TOO_EXPENSIVE */
  async responseBodyOf(attempt: AttemptRow): Promise<Buffer | null> {
    if (attempt.bodyBytes === null) {
      return null;
    }
    this.#meter.expect(attempt.bodyBytes);
    return (await this.#bodies.load(keyOf(attempt)))?.responseBody ?? null;
  }

  /** Newest first. */
  async deliveriesOf(destinationId: string, page: PageArguments, status: StatusFilter): Promise<Page<DeliveryRow>> {
    const ids = await this.#deliveriesOfDestination.load(destinationId, page, status);
    return { ...ids, rows: await allFound(this.#deliveries, ids.rows) };
  }

  /** @returns `null` when there are more than 10,000. */
  async deliveryCountOf(destinationId: string, status: StatusFilter): Promise<number | null> {
    const loader =
      this.#counts.get(status) ??
      oneByKey(
        this.#meter,
        (ids) => this.#count(ids, status),
        ({ key }) => key,
        COUNTS_PER_STATEMENT,
      );
    this.#counts.set(status, loader);
    return exactly((await loader.load(destinationId))?.count);
  }

  async #findAttempts(deliveryIds: readonly string[]): Promise<AttemptRow[]> {
    const rows = await findAttempts(this.#em, this.#scope, deliveryIds, ATTEMPTS_PER_STATEMENT_MAX + 1);
    if (rows.length > ATTEMPTS_PER_STATEMENT_MAX) {
      throw DomainError.tooExpensive('The deliveries have too many attempts to read them at once; ask for fewer.');
    }
    return rows;
  }

  async #count(destinationIds: readonly string[], status: StatusFilter): Promise<Count[]> {
    const withStatus = status === undefined ? sql`` : sql`and d.status = ${status}`;
    return select(
      this.#em,
      sql<Count>`
      select o.id as key, (
        select count(*) from (
          select 1 from delivery d where d.destination_id = o.id ${withStatus} limit ${COUNT_LIMIT}
        ) counted
      ) as count
      from destination o
      where o.id in (${sql.join(destinationIds)}) and ${isLivingDestination(sql`o.id`, this.#scope)}`,
    );
  }

  async #findIds(
    parentIds: readonly string[],
    { first, after }: PageArguments,
    status: StatusFilter,
  ): Promise<KeyedId[]> {
    const page = { parentIds, before: after ?? ID_BEYOND_ALL, limit: first + 1, scope: this.#scope };
    return select(this.#em, this.#statements.deliveryIdsOf(page, status));
  }
}

/** They are a range of keys, because their ids begin as that of their event. */
function ofEvent(eventId: string) {
  return sql`(d.id > ${eventId} and d.id <= ${deliveryIdOf(eventId, ORDINAL_MAX)})`;
}

type AttemptKey = Pick<AttemptRow, 'deliveryId' | 'number'>;

function keyOf({ deliveryId, number }: AttemptKey): string {
  return `${deliveryId} ${number}`;
}

function attemptOf(key: string): AttemptKey {
  const [deliveryId = '', number] = key.split(' ');
  return { deliveryId, number: Number(number) };
}
