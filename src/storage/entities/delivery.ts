import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { DeliveryStatus } from '../../core/delivery.ts';
import { Destination } from './destination.ts';
import { Event } from './event.ts';
import { scopeFilter } from '../scope-filter.ts';

export const Delivery = defineEntity({
  name: 'Delivery',
  tableName: 'delivery',
  filters: scopeFilter((accountId) => ({ destination: { account: accountId } })),
  properties: {
    id: p.uuid().primary(),
    event: () =>
      p.manyToOne(Event).ref().deleteRule('cascade').updateRule('no action').index('delivery_event_id_index'),
    destination: () => p.manyToOne(Destination).ref().deleteRule('cascade').updateRule('no action').index(false),
    status: p.text().$type<DeliveryStatus>(),
    /** Attempts claimed so far, the one under way included. */
    attemptCount: p.integer(),
    /** Attempts made before the present round; a manual retry begins a new round, with the whole schedule before it. */
    roundStart: p.integer(),
    /** When the delivery may be claimed; `null` once it is finished. */
    dueAt: p.datetime(3).nullable(),
    completedAt: p.datetime(3).nullable(),
  },
  indexes: [
    { name: 'delivery_destination_id_id_index', properties: ['destination', 'id'] },
    { name: 'delivery_due_index', properties: ['destination', 'dueAt'], where: "status = 'PENDING'" },
    { name: 'delivery_failed_index', properties: ['destination', 'id'], where: "status = 'FAILED'" },
  ],
});
export type DeliveryEntity = InferEntity<typeof Delivery>;
