import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The work that is left: one row for each pending delivery, and none for a finished one. The table stays as
 * small as the backlog, whatever history lies beside it. A claim writes only columns that no index has, so that
 * on PostgreSQL its update stays on the page (HOT); see docs/decisions/0005. Requests never read it by itself, so
 * it has no scope.
 */
export const QueuedDelivery = defineEntity({
  name: 'QueuedDelivery',
  tableName: 'queue',
  properties: {
    deliveryId: p.uuid().primary(),
    eventId: p.uuid(),
    destinationId: p.uuid(),
    /** Attempts claimed so far, the one under way included. */
    attemptCount: p.integer(),
    /** Attempts made before the present retry cycle; a manual retry begins a new one. */
    roundStart: p.integer(),
    /** What attempts in a row count together whose worker has died: their leases ran out, and nothing was recorded. */
    lostCount: p.integer(),
    /** When the delivery may be claimed first. A claim leaves it as it is. */
    dueAt: p.datetime(3),
    /** Until when a worker has the delivery to itself; `null` when nobody has it. */
    leasedUntil: p.datetime(3).nullable(),
    /** What the attempt under way counts if its worker dies; see `Blame`. */
    leaseBlame: p.integer().default(1),
    /** True once a retry was planned: a sweep looks for the row when its time has come. */
    waits: p.boolean(),
  },
  indexes: [
    { name: 'queue_destination_id_due_at_index', properties: ['destinationId', 'dueAt'] },
    { name: 'queue_waits_due_at_index', properties: ['dueAt'], where: 'waits' },
  ],
});
export type QueuedDeliveryEntity = InferEntity<typeof QueuedDelivery>;
