import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { DeliveryStatus } from '../../core/delivery.ts';
import { Destination } from './destination.ts';
import { Event } from './event.ts';
import { scopeFilter } from '../scope-filter.ts';

/**
 * One event on its way to one destination, for good. While it is pending, how it stands is in its row of `queue`.
 * No foreign keys: each would be checked for every row of the hottest path. Deleting goes by steps, children first.
 */
export const Delivery = defineEntity({
  name: 'Delivery',
  tableName: 'delivery',
  filters: scopeFilter((accountId) => ({
    destination: { ...(accountId !== undefined && { account: accountId }), deletedAt: null },
  })),
  properties: {
    /** The event's id with an ordinal in its last 12 bits, so an event's deliveries are a range of keys. */
    id: p.uuid().primary(),
    event: () => p.manyToOne(Event).ref().createForeignKeyConstraint(false).index(false),
    destination: () => p.manyToOne(Destination).ref().createForeignKeyConstraint(false).index(false),
    status: p.text().$type<DeliveryStatus>(),
    /** Attempts made until the delivery finished. */
    finishedAttempts: p.integer().fieldName('attempt_count'),
    completedAt: p.datetime(3).nullable(),
    /** Attempts begun so far, the one under way included. */
    attemptCount: p
      .integer()
      .formula(
        ({ id, finishedAttempts }) =>
          `coalesce((select q.attempt_count from queue q where q.delivery_id = ${id}), ${finishedAttempts})`,
      ),
    /** When the next attempt may begin, or the lease of the present one ends; `null` once it is finished. */
    dueAt: p
      .datetime(3)
      .formula(({ id }) => `(select coalesce(q.leased_until, q.due_at) from queue q where q.delivery_id = ${id})`)
      .nullable(),
  },
  indexes: [{ name: 'delivery_destination_id_status_id_index', properties: ['destination', 'status', 'id'] }],
});
export type DeliveryEntity = InferEntity<typeof Delivery>;
