import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { scopeFilter } from '../scope-filter.ts';

export const Account = defineEntity({
  name: 'Account',
  tableName: 'account',
  filters: scopeFilter((accountId) => ({ ...(accountId !== undefined && { id: accountId }), deletedAt: null })),
  properties: {
    id: p.uuid().primary(),
    email: p.text(),
    /** The address in lower case: unique without regard to letter case, on every database. */
    emailKey: p.text().unique('account_email_key_unique'),
    name: p.text(),
    website: p.text().nullable(),
    tokenHash: p.text().unique('account_token_hash_unique'),
    /** The account is its owner. */
    sealedToken: p.text().default(''),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** Since when it reads as gone; its rows are removed in steps behind. */
    deletedAt: p.datetime(3).nullable(),
  },
  indexes: [{ name: 'account_deleted_at_index', properties: ['deletedAt'], where: 'deleted_at is not null' }],
});
export type AccountEntity = InferEntity<typeof Account>;
