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
    /** Sealed for the account. */
    sealedToken: p.text().default(''),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** When it was deleted. Its rows are removed later, in steps. */
    deletedAt: p.datetime(3).nullable(),
    /** Where its payloads name their type, unless the sender does. */
    eventTypePath: p.text().nullable(),
    /** Counts the changes of where its events go. An event is stored by the routes of one version. */
    routingVersion: p.integer().default(1),
    /** The number of the last event that has an order at any of its destinations; null before the first. */
    orderSeq: p.bigint('number').nullable(),
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
    /** A JSON list of pairs, because an object would lose order and repeated names. Sealed for the account. */
    sealedHeaders: p.text().default(''),
    /** Signs deliveries. Sealed for the account. */
    sealedSigningSecret: p.text().default(''),
    /** The secret before the last rotation, which signs too until `previousSecretUntil`. */
    sealedPreviousSecret: p.text().nullable(),
    previousSecretUntil: p.datetime(3).nullable(),
    /** When it answered 410 Gone, or was deleted. It gets no deliveries since then. */
    disabledAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** Counts the changes of its requests: URL, method, headers, secret. An answer concerns the version that was asked. */
    version: p.integer().default(1),
    /** When it was deleted. It is disabled too, so that hot paths check `disabledAt` only. */
    deletedAt: p.datetime(3).nullable(),
    name: p.text().nullable(),
    description: p.text().nullable(),
    /** The types that it takes, as a JSON list; null for all but reserved ones. */
    eventTypes: p.text().nullable(),
    /** The conditions on the payload, as the JSON text that was given; null for none. */
    filter: p.text().nullable(),
    /** A JSONata expression that makes the body from the payload; null to send the payload as it is. */
    transform: p.text().nullable(),
    /** Null is the server's default, here and in what follows. In milliseconds. */
    timeoutMs: p.integer().nullable(),
    /** A JSON list of waits in milliseconds. */
    retrySchedule: p.text().nullable(),
    maxConcurrency: p.integer().nullable(),
    /** So many attempts in `ratePerMs`; both or neither. */
    rateCount: p.integer().nullable(),
    ratePerMs: p.integer().nullable(),
    /** A JSON list of statuses that end a delivery at once. */
    stopOn: p.text().nullable(),
    /** A dotted path, or `*`: deliveries with an equal value there go one at a time, in their order. */
    orderBy: p.text().nullable(),
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
    /** The bytes as they were received. Lists of events do not load them. */
    payload: p.blob().$type<Buffer>().lazy(),
    receivedAt: p.datetime(3),
    /** The client's own name for the event, until it expires. */
    idempotencyKey: p.text().nullable(),
    /** How many servers like this one the event has passed. */
    hops: p.integer().default(0),
    type: p.text().nullable(),
    /** The destinations that do not get it, as JSON: `[[destinationId, outcome, path?], ...]`; null for none. */
    skipped: p.text().nullable().lazy(),
    /** On the first event of a batch with an idempotency key: the answer and a hash of the batch, as JSON. */
    batch: p.text().nullable().lazy(),
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
 * One event on its way to one destination. While it is pending, its state is in its row of `queue`. There are no foreign
 * keys, because each would be checked for every row of the hottest path. Rows are removed in steps, children first.
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
    /** Attempts of a finished delivery. */
    finishedAttempts: p.integer().fieldName('attempt_count'),
    completedAt: p.datetime(3).nullable(),
    /** Attempts so far, including one under way. */
    attemptCount: p
      .integer()
      .formula(
        ({ id, finishedAttempts }) =>
          `coalesce((select q.attempt_count from queue q where q.delivery_id = ${id}), ${finishedAttempts})`,
      ),
    /** When the next attempt may begin, or the lease of the present one ends; `null` if it is finished. See `isParked`. */
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
    /** The reason for the error, in words. */
    message: p.text().nullable(),
    /** The destination's version at the time of the request. `null` for attempts by early versions of the program. */
    destinationVersion: p.integer().nullable(),
  },
});
export type AttemptEntity = InferEntity<typeof Attempt>;

/**
 * The work that is left: one row for each pending delivery, and none for a finished one. The table stays as small as the
 * backlog, however long the history is. A claim writes only columns without an index, so PostgreSQL keeps the new row on
 * the same page (HOT); see docs/decisions/0005. Requests never read it by itself, so it has no scope.
 */
export const QueuedDelivery = defineEntity({
  name: 'QueuedDelivery',
  tableName: 'queue',
  properties: {
    deliveryId: p.uuid().primary(),
    eventId: p.uuid(),
    destinationId: p.uuid(),
    /** Attempts claimed so far, including one under way. */
    attemptCount: p.integer(),
    /** Attempts made before the present retry cycle; a manual retry begins a new one. */
    cycleStart: p.integer().fieldName('round_start'),
    /** The sum of the blame of the lost attempts in a row: their leases ran out, and nothing was recorded. */
    lostCount: p.integer(),
    /** When the delivery may be claimed. A claim does not change it, unless the delivery is not next; see `isParked`. */
    dueAt: p.datetime(3),
    /** The end of the lease of the worker that claimed it; `null` if there is none. */
    leasedUntil: p.datetime(3).nullable(),
    /** How much the attempt under way counts if it is lost; see `Blame`. */
    leaseBlame: p.integer().default(1),
    /** True once a retry is planned, or the delivery has become next in its order. The sweeper finds it when it is due. */
    waits: p.boolean(),
    /** Deliveries of a destination with the same key go one at a time, in the order of `orderSeq`; null for no order. */
    orderKey: p.text().nullable(),
    orderSeq: p.bigint('number').nullable(),
  },
  indexes: [
    { name: 'queue_destination_id_due_at_index', properties: ['destinationId', 'dueAt'] },
    { name: 'queue_waits_due_at_index', properties: ['dueAt'], where: 'waits' },
    {
      name: 'queue_order_index',
      properties: ['destinationId', 'orderKey', 'orderSeq'],
      where: 'order_key is not null',
    },
  ],
});
export type QueuedDeliveryEntity = InferEntity<typeof QueuedDelivery>;

/**
 * Where the rate limits of destinations stand, by the generic cell rate algorithm (GCRA). A destination gets its row with
 * its first limited claim.
 */
export const DestinationRate = defineEntity({
  name: 'DestinationRate',
  tableName: 'destination_rate',
  filters: scopeFilter(() => ({ destinationId: { $in: [] } })),
  properties: {
    destinationId: p.uuid().primary(),
    /** When the next attempt would come if all were spread evenly. Milliseconds since the Unix epoch, with fractions. */
    nextAt: p.double(),
  },
});

/** An event had a delivery to a destination that was removed with all its deliveries. */
export const RemovedRoute = defineEntity({
  name: 'RemovedRoute',
  tableName: 'removed_route',
  filters: scopeFilter(() => ({ destinationId: { $in: [] } })),
  properties: {
    event: () => p.manyToOne(Event).ref().primary().deleteRule('cascade').updateRule('no action').index(false),
    destinationId: p.uuid().primary(),
  },
});

/** Facts about the database itself, which belong to no account. */
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
