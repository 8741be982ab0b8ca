import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { HeaderEntry, HttpMethod } from '../../core/destination-input.ts';
import { Account } from './account.ts';

export const Destination = defineEntity({
  name: 'Destination',
  tableName: 'destination',
  properties: {
    id: p.uuid().primary(),
    account: () =>
      p.manyToOne(Account).ref().deleteRule('cascade').updateRule('no action').index('destination_account_id_index'),
    url: p.text(),
    httpMethod: p.text().$type<HttpMethod>(),
    /** A list of pairs, not an object, so that order and repeated names survive every JSON reader. */
    headers: p.json().$type<HeaderEntry[]>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
});
export type DestinationEntity = InferEntity<typeof Destination>;
