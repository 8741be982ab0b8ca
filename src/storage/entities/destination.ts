import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { HttpMethod } from '../../core/destination-input.ts';
import { Account } from './account.ts';
import { scopeFilter } from '../scope-filter.ts';

export const Destination = defineEntity({
  name: 'Destination',
  tableName: 'destination',
  filters: scopeFilter((accountId) => ({ ...(accountId !== undefined && { account: accountId }), deletedAt: null })),
  properties: {
    id: p.uuid().primary(),
    account: () =>
      p.manyToOne(Account).ref().deleteRule('cascade').updateRule('no action').index('destination_account_id_index'),
    url: p.text(),
    httpMethod: p.text().$type<HttpMethod>(),
    /** A JSON list of pairs; an object would not keep order and repeated names. The account is its owner. */
    sealedHeaders: p.text().default(''),
    /** What deliveries are signed with. The account is its owner. */
    sealedSigningSecret: p.text().default(''),
    /** The one before, which signs too until its time is up. */
    sealedPreviousSecret: p.text().nullable(),
    previousSecretUntil: p.datetime(3).nullable(),
    /** Since when it gets nothing, because it has said that it is gone. */
    disabledAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** Counts the changes of what requests are made of; an answer speaks of the version it was asked with. */
    version: p.integer().default(1),
    /** Since when it reads as gone. It is disabled then too, so hot paths ask for that alone. */
    deletedAt: p.datetime(3).nullable(),
  },
  indexes: [{ name: 'destination_deleted_at_index', properties: ['deletedAt'], where: 'deleted_at is not null' }],
});
export type DestinationEntity = InferEntity<typeof Destination>;
