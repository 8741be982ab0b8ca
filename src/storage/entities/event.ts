import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { Account } from './account.ts';

export const Event = defineEntity({
  name: 'Event',
  tableName: 'event',
  properties: {
    id: p.uuid().primary(),
    account: () => p.manyToOne(Account).ref().deleteRule('cascade').updateRule('no action').index(false),
    /** The bytes as they were received; never loaded with a list of events. */
    payload: p.blob().$type<Buffer>().lazy(),
    receivedAt: p.datetime(3),
  },
  indexes: [{ name: 'event_account_id_id_index', properties: ['account', 'id'] }],
});
export type EventEntity = InferEntity<typeof Event>;
