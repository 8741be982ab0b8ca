import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const Account = defineEntity({
  name: 'Account',
  tableName: 'account',
  properties: {
    id: p.uuid().primary(),
    email: p.text(),
    /** The address in lower case: unique without regard to letter case, on every database. */
    emailKey: p.text().unique('account_email_key_unique'),
    name: p.text(),
    website: p.text().nullable(),
    appSecretToken: p.text().unique('account_app_secret_token_unique'),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
});
export type AccountEntity = InferEntity<typeof Account>;
