import { type RawBuilder, sql } from 'kysely';
import type { AttemptError, DeliveryStatus } from '../../core/delivery.ts';
import type { Scope } from '../../core/scope.ts';
import { isLivingDestination } from '../living.ts';
import type { EntityManager } from '../storage.ts';
import { select } from './select.ts';

/** A delivery as lists show it. They may be long, and the mapper takes ten times as long for a row as the driver. */
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
  /** How long the answer's body is that was kept; `null` when there is none. */
  readonly bodyBytes: number | null;
}

/** SQLite keeps milliseconds, PostgreSQL's driver gives text. */
type StoredDate = number | string;

type StoredDelivery = Omit<DeliveryRow, 'event' | 'destination' | 'dueAt' | 'completedAt'> & {
  readonly eventId: string;
  readonly destinationId: string;
  readonly dueAt: StoredDate | null;
  readonly completedAt: StoredDate | null;
};

/** @param which a condition on `d`, the delivery */
export async function findDeliveries(
  em: EntityManager,
  scope: Scope,
  which: RawBuilder<unknown>,
): Promise<DeliveryRow[]> {
  const rows = await select(
    em,
    sql<StoredDelivery>`
    select d.id, d.event_id as "eventId", d.destination_id as "destinationId", d.status,
           coalesce((select q.attempt_count from queue q where q.delivery_id = d.id), d.attempt_count) as "attemptCount",
           (select coalesce(q.leased_until, q.due_at) from queue q where q.delivery_id = d.id) as "dueAt",
           d.completed_at as "completedAt"
    from delivery d where (${which}) and ${isLivingDestination(sql`d.destination_id`, scope)}
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
export async function findAttempts(
  em: EntityManager,
  scope: Scope,
  deliveryIds: readonly string[],
  limit: number,
): Promise<AttemptRow[]> {
  const rows = await select(
    em,
    sql<Omit<AttemptRow, 'startedAt'> & { startedAt: StoredDate }>`
    select a.delivery_id as "deliveryId", a.number, a.started_at as "startedAt", a.duration_ms as "durationMs",
           a.status_code as "statusCode", a.error, octet_length(a.response_body) as "bodyBytes"
    from attempt a where a.delivery_id in (${sql.join(deliveryIds)}) and ${ofLiving(sql`a.delivery_id`, scope)}
    order by a.delivery_id, a.number limit ${limit}`,
  );
  return rows.map(({ startedAt, ...row }) => Object.assign(row, { startedAt: new Date(startedAt) }));
}

export interface BodyRow {
  readonly deliveryId: string;
  readonly number: number;
  readonly responseBody: Buffer | null;
}

export async function findBodies(
  em: EntityManager,
  scope: Scope,
  attempts: readonly Pick<AttemptRow, 'deliveryId' | 'number'>[],
): Promise<BodyRow[]> {
  const which = attempts.map(({ deliveryId, number }) => sql`(a.delivery_id = ${deliveryId} and a.number = ${number})`);
  return select(
    em,
    sql<BodyRow>`
    select a.delivery_id as "deliveryId", a.number, a.response_body as "responseBody"
    from attempt a where (${sql.join(which, sql` or `)}) and ${ofLiving(sql`a.delivery_id`, scope)}`,
  );
}

function ofLiving(deliveryId: RawBuilder<unknown>, scope: Scope) {
  return sql`(select ${isLivingDestination(sql`d.destination_id`, scope)} from delivery d where d.id = ${deliveryId})`;
}

function toDate(stored: StoredDate | null): Date | null {
  return stored === null ? null : new Date(stored);
}
