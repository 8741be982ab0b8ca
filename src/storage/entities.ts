import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { scopeFilter } from './scope.ts';
import type { HttpMethod } from '../core/inputs.ts';
import type { AttemptError, DeliveryStatus } from '../core/delivery.ts';

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

/**
 * One event on its way to one destination, for good. While it is pending, how it stands is in its row of `queue`.
 * No foreign keys: each would be checked for every row of the hottest path. Deleting goes by steps, children first.
 */
export const Delivery = defineEntity({
  name: 'Delivery',
  tableName: 'delivery',
  filters: scopeFilter((accountId) => ({
    destination: { ...(accountId !== undefined && { account: accountId }), deletedAt: null },
  })),
  properties: {
    /** The event's id with an ordinal in its last 12 bits, so an event's deliveries are a range of keys. */
    id: p.uuid().primary(),
    event: () => p.manyToOne(Event).ref().createForeignKeyConstraint(false).index(false),
    destination: () => p.manyToOne(Destination).ref().createForeignKeyConstraint(false).index(false),
    status: p.text().$type<DeliveryStatus>(),
    /** Attempts made until the delivery finished. */
    finishedAttempts: p.integer().fieldName('attempt_count'),
    completedAt: p.datetime(3).nullable(),
    /** Attempts begun so far, the one under way included. */
    attemptCount: p
      .integer()
      .formula(
        ({ id, finishedAttempts }) =>
          `coalesce((select q.attempt_count from queue q where q.delivery_id = ${id}), ${finishedAttempts})`,
      ),
    /** When the next attempt may begin, or the lease of the present one ends; `null` once it is finished. */
    dueAt: p
      .datetime(3)
      .formula(({ id }) => `(select coalesce(q.leased_until, q.due_at) from queue q where q.delivery_id = ${id})`)
      .nullable(),
  },
  indexes: [{ name: 'delivery_destination_id_status_id_index', properties: ['destination', 'status', 'id'] }],
});
export type DeliveryEntity = InferEntity<typeof Delivery>;

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
    cycleStart: p.integer().fieldName('round_start'),
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
