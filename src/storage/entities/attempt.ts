import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { AttemptError } from '../../core/delivery.ts';
import { Delivery } from './delivery.ts';
import { scopeFilter } from '../scope-filter.ts';

export const Attempt = defineEntity({
  name: 'Attempt',
  tableName: 'attempt',
  filters: scopeFilter((accountId) => ({
    delivery: { destination: { ...(accountId !== undefined && { account: accountId }), deletedAt: null } },
  })),
  properties: {
    delivery: () => p.manyToOne(Delivery).ref().primary().createForeignKeyConstraint(false).index(false),
    /** Counts from 1. */
    number: p.integer().primary(),
    startedAt: p.datetime(3),
    durationMs: p.integer(),
    statusCode: p.integer().nullable(),
    error: p.text().$type<AttemptError>().nullable(),
    responseBody: p.blob().$type<Buffer>().nullable(),
    /** Of the destination, when the request was made; earlier versions of the program did not keep it. */
    destinationVersion: p.integer().nullable(),
  },
});
export type AttemptEntity = InferEntity<typeof Attempt>;
