import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { Account } from './account.ts';
import { scopeFilter } from '../scope-filter.ts';

export const Event = defineEntity({
  name: 'Event',
  tableName: 'event',
  filters: scopeFilter((accountId) => ({
    account: { ...(accountId !== undefined && { id: accountId }), deletedAt: null },
  })),
  properties: {
    id: p.uuid().primary(),
    account: () => p.manyToOne(Account).ref().deleteRule('cascade').updateRule('no action').index(false),
    /** The bytes as they were received; never loaded with a list of events. */
    payload: p.blob().$type<Buffer>().lazy(),
    receivedAt: p.datetime(3),
    /** The sender's own name for the event, for as long as a second one of the same name is the same event. */
    idempotencyKey: p.text().nullable(),
    /** How often it has come through a server like this one already. */
    hops: p.integer().default(0),
  },
  indexes: [{ name: 'event_account_id_id_index', properties: ['account', 'id'] }],
  uniques: [
    {
      name: 'event_idempotency_key_unique',
      properties: ['account', 'idempotencyKey'],
      where: 'idempotency_key is not null',
    },
  ],
});
export type EventEntity = InferEntity<typeof Event>;
