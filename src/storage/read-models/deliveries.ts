import { type RawBuilder, sql } from 'kysely';
import type DataLoader from 'dataloader';
import type { AttemptError, DeliveryStatus } from '../../core/delivery.ts';
import type { Scope } from '../../core/scope.ts';
import { isVisibleDestination } from '../scope.ts';
import type { EntityManager } from '@mikro-orm/sql';
import {
  allFound,
  type Count,
  COUNT_LIMIT,
  COUNTS_PER_STATEMENT,
  exactly,
  ID_BEYOND_ALL,
  manyByKey,
  type Meter,
  oneByKey,
  type Page,
  type PageArguments,
  PageLoaders,
  select,
} from './reading.ts';
import { DESTINATIONS_PER_ACCOUNT_MAX } from '../../core/inputs.ts';
import { DomainError } from '../../core/errors.ts';
import { deliveryIdOf, ORDINAL_MAX } from '../../core/ids.ts';
import type { KeyedId, Statements } from '../statements.ts';

/** A delivery of a list. Lists may be long, and for a row the mapper takes ten times as long as the driver. */
export interface DeliveryRow {
  readonly id: string;
  readonly event: { readonly id: string };
  readonly destination: { readonly id: string };
  readonly status: DeliveryStatus;
  readonly attemptCount: number;
  readonly dueAt: Date | null;
  readonly completedAt: Date | null;
}

export interface AttemptRow {
  readonly deliveryId: string;
  /** Counts from 1. */
  readonly number: number;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly statusCode: number | null;
  readonly error: AttemptError | null;
  readonly message: string | null;
  /** The length of the stored part of the response; `null` if there is none. */
  readonly bodyBytes: number | null;
}

/** SQLite stores milliseconds; PostgreSQL's driver returns text. */
type StoredDate = number | string;

type StoredDelivery = Omit<DeliveryRow, 'event' | 'destination' | 'dueAt' | 'completedAt'> & {
  readonly eventId: string;
  readonly destinationId: string;
  readonly dueAt: StoredDate | null;
  readonly completedAt: StoredDate | null;
};

/** @param which a condition on `d`, the delivery */
async function findDeliveries(em: EntityManager, scope: Scope, which: RawBuilder<unknown>): Promise<DeliveryRow[]> {
  const rows = await select(
    em,
    sql<StoredDelivery>`
    select d.id, d.event_id as "eventId", d.destination_id as "destinationId", d.status,
           coalesce((select q.attempt_count from queue q where q.delivery_id = d.id), d.attempt_count) as "attemptCount",
           (select coalesce(q.leased_until, q.due_at) from queue q where q.delivery_id = d.id) as "dueAt",
           d.completed_at as "completedAt"
    from delivery d where (${which}) and ${isVisibleDestination(sql`d.destination_id`, scope)}
    order by d.id`,
  );
  return rows.map(({ id, eventId, destinationId, status, attemptCount, dueAt, completedAt }) => ({
    id,
    event: { id: eventId },
    destination: { id: destinationId },
    status,
    attemptCount,
    dueAt: toDate(dueAt),
    completedAt: toDate(completedAt),
  }));
}

/** In the order they were made. @param limit of all together */
async function findAttempts(
  em: EntityManager,
  scope: Scope,
  deliveryIds: readonly string[],
  limit: number,
): Promise<AttemptRow[]> {
  const rows = await select(
    em,
    sql<Omit<AttemptRow, 'startedAt'> & { startedAt: StoredDate }>`
    select a.delivery_id as "deliveryId", a.number, a.started_at as "startedAt", a.duration_ms as "durationMs",
           a.status_code as "statusCode", a.error, a.message, octet_length(a.response_body) as "bodyBytes"
    from attempt a where a.delivery_id in (${sql.join(deliveryIds)}) and ${isVisibleDelivery(sql`a.delivery_id`, scope)}
    order by a.delivery_id, a.number limit ${limit}`,
  );
  return rows.map(({ startedAt, ...row }) => Object.assign(row, { startedAt: new Date(startedAt) }));
}

interface BodyRow {
  readonly deliveryId: string;
  readonly number: number;
  readonly responseBody: Buffer | null;
}

async function findBodies(
  em: EntityManager,
  scope: Scope,
  attempts: readonly Pick<AttemptRow, 'deliveryId' | 'number'>[],
): Promise<BodyRow[]> {
  const which = attempts.map(({ deliveryId, number }) => sql`(a.delivery_id = ${deliveryId} and a.number = ${number})`);
  return select(
    em,
    sql<BodyRow>`
    select a.delivery_id as "deliveryId", a.number, a.response_body as "responseBody"
    from attempt a where (${sql.join(which, sql` or `)}) and ${isVisibleDelivery(sql`a.delivery_id`, scope)}`,
  );
}

function isVisibleDelivery(deliveryId: RawBuilder<unknown>, scope: Scope) {
  return sql`(select ${isVisibleDestination(sql`d.destination_id`, scope)} from delivery d where d.id = ${deliveryId})`;
}

function toDate(stored: StoredDate | null): Date | null {
  return stored === null ? null : new Date(stored);
}

export type StatusFilter = DeliveryStatus | undefined;

/** By the usual schedule. Each manual retry adds more. */
const ATTEMPTS_USUAL = 20;
const ATTEMPTS_PER_STATEMENT_MAX = 10_000;

/** Reads of deliveries and their attempts, for one request. */
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

  /** The beginning of the response. @throws DomainError TOO_EXPENSIVE */
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
      where o.id in (${sql.join(destinationIds)}) and ${isVisibleDestination(sql`o.id`, this.#scope)}`,
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

/** The ids of an event's deliveries begin like its own, so they are a range of keys. */
export function ofEvent(eventId: string) {
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
