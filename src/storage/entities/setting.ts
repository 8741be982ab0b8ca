import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { scopeFilter } from '../scope-filter.ts';

/** What the database keeps about itself. It is no account's. */
export const Setting = defineEntity({
  name: 'Setting',
  tableName: 'setting',
  filters: scopeFilter(() => ({ name: { $in: [] } })),
  properties: {
    name: p.text().primary(),
    value: p.text(),
  },
});
export type SettingEntity = InferEntity<typeof Setting>;
