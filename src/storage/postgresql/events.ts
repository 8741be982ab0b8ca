import { type RawBuilder, sql } from 'kysely';
import { ID_STEM_CHARACTERS, ORDINAL_DIGITS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isVisibleDestination } from '../scope.ts';
import { command, PackedBytes, statement } from '../typed-statement.ts';
import type { FanOut, StoredRoutes } from '../../core/account-routes.ts';
import {
  type DeliveryCount,
  type EarlierEventRow,
  fanOutsOf,
  type NewEvent,
  type Statements,
  type StoredBatch,
} from '../statements.ts';
import { orderPartsFor } from './event-order.ts';

/** All batches insert keys in the same order: in two orders, two batches could deadlock. */
const UNLESS_DUPLICATE = sql`
        order by account_id, idempotency_key
        on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;

/** Events that follow another are inserted after those, because whether a key is free is known only then. */
const FOLLOWERS = {
  isLeader: sql`where follows is null`,
  followed: (values: RawBuilder<unknown>) => sql`
      followed as (
        insert into event (id, account_id, payload, received_at, idempotency_key, hops, type, skipped, batch)
        select ${values} from known where follows is not null and follows not in (select id from duplicate)
      ),`,
  isStored: sql`and (e.follows is null or e.follows not in (select id from duplicate))`,
};
/** Without these parts, the statement costs a little less. */
const NO_FOLLOWERS: typeof FOLLOWERS = { isLeader: sql``, followed: () => sql``, isStored: sql`` };

/**
 * The second statement sees the change that the first one has waited for, and reads version and destinations as they
 * are at the same moment.
 */
export const findRoutes: Statements['findRoutes'] = (tokenHash) => [
  command(sql`select from account where token_hash = ${tokenHash} for share`),
  statement(
    sql<Omit<StoredRoutes, 'tokenHash'>>`
      select a.id as "accountId", a.routing_version as "version", a.event_type_path as "eventTypePath",
        (select coalesce(json_agg(json_build_array(id, disabled_at is null, event_types, filter, order_by) order by id), '[]')
         from destination where account_id = a.id and deleted_at is null) as "destinations"
      from account a where a.token_hash = ${tokenHash}`,
    (routes) => ({ tokenHash, ...routes }),
  ),
];

/**
 * One statement for the whole batch, and so one transaction, one round trip and one commit. It locks the accounts, in the
 * order of their ids: whatever changes routes locks the account's row too, and adds 1 to its version. A row that was
 * changed since the statement began is read again once it is locked, so the version is that of the commit. Of two batches
 * with the same key, the later one waits for the commit of the earlier one.
 *
 * `input` are the events, `fan_out` where they go, `locked` the accounts of their tokens, `valid` the fan-outs whose
 * version still holds, `known` their events, and `new_delivery` a row for each event that was stored and each destination.
 */
export const storeEvents: Statements<never>['storeEvents'] = (events) => {
  const payloads = new PackedBytes();
  const { fanOuts, numbers } = fanOutsOf(events);
  const rows = JSON.stringify(events.map((event, index) => toRow(event, [index, numbers[index] as number], payloads)));
  // Inserts that may conflict take a little longer.
  const unlessDuplicate = events.some(({ idempotencyKey }) => idempotencyKey !== null) ? UNLESS_DUPLICATE : sql``;
  const hasFollowers = events.some(({ follows }) => follows !== undefined && follows !== null);
  const { isLeader, followed, isStored } = hasFollowers ? FOLLOWERS : NO_FOLLOWERS;
  const order = orderPartsFor(events);
  const values = sql`
          id, account_id, substring(${payloads.toBuffer()}::bytea from start for length), to_timestamp(received_at),
          idempotency_key, hops, type, skipped, batch`;
  const query = sql<StoredBatch>`
      with input as materialized (
        select * from json_to_recordset(${rows}::json)
          as e (index int, id uuid, fan_out int, received_at float8, start int, length int, idempotency_key text,
                hops int, type text, follows uuid, batch text ${order.keys})
      ), fan_out as materialized (
        select * from json_to_recordset(${JSON.stringify(fanOuts.map(toFanOutRow))}::json)
          as f (number int, account_id uuid, token_hash text, version int, skipped text, destination_ids uuid[])
      ), locked as materialized (${order.locked}
      ), valid as materialized (
        select f.number, f.skipped, f.destination_ids, f.account_id ${order.lastNumber}
        from fan_out f join locked a on a.token_hash = f.token_hash and a.routing_version = f.version
      ), target as materialized (
        select v.number, d.id as destination_id, d.ordinal
        from valid v cross join lateral unnest(v.destination_ids) with ordinality as d (id, ordinal)
      ), known as materialized (
        select i.*, v.account_id, v.skipped ${order.number} from input i join valid v on v.number = i.fan_out
      ), stored as (
        insert into event (id, account_id, payload, received_at, idempotency_key, hops, type, skipped, batch)
        select ${values} from known ${isLeader} ${unlessDuplicate}
        returning id, idempotency_key
      ), duplicate as materialized (
        select id, index from known
        where idempotency_key is not null and id not in (select id from stored where idempotency_key is not null)
      ), ${followed(values)} new_delivery as materialized (
        select (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)})
                 || lpad(to_hex(t.ordinal), ${sql.lit(ORDINAL_DIGITS)}, '0'))::uuid as id,
               e.id as event_id, t.destination_id ${order.place}
        from known e join target t on t.number = e.fan_out
        where e.id not in (select id from duplicate) ${isStored}
      ), inserted as (
        insert into delivery (id, event_id, destination_id, status, attempt_count)
        select id, event_id, destination_id, 'PENDING', 0 from new_delivery
      ), ${order.queued}
      select
        (select coalesce(json_agg(number), '[]') from fan_out
         where token_hash not in (select token_hash from locked)) as "unknown",
        (select coalesce(json_agg(f.number), '[]')
         from fan_out f join locked a on a.token_hash = f.token_hash and a.routing_version <> f.version) as "stale",
        (select coalesce(json_agg(index), '[]') from duplicate) as "duplicates"`;
  return statement(query);
};

function toFanOutRow({ accountId, tokenHash, version, skipped, destinationIds }: FanOut, number: number) {
  return { number, account_id: accountId, token_hash: tokenHash, version, skipped, destination_ids: destinationIds };
}

function toRow(
  event: NewEvent,
  [index, fanOut]: readonly [index: number, fanOut: number],
  payloads: PackedBytes,
): Record<string, unknown> {
  const [start, length] = payloads.add(event.payload);
  return {
    index,
    id: event.id,
    fan_out: fanOut,
    received_at: event.receivedAt / 1_000,
    start,
    length,
    idempotency_key: event.idempotencyKey,
    hops: event.hops,
    type: event.type,
    follows: event.follows,
    batch: event.batch,
    order_keys: event.fanOut.orderKeys ?? undefined,
  };
}

const DELIVERIES_OF_EVENT = sql`
        (select count(*)::int from delivery
         where id > e.id and id <= (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff')::uuid
           and ${isVisibleDestination(sql`destination_id`, EVERYTHING)})`;

export const countDeliveries: Statements['countDeliveries'] = (eventIds) => sql<DeliveryCount>`
  select e.id as "eventId", c.deliveries
  from unnest(${eventIds}::uuid[]) with ordinality as e (id, number)
  cross join lateral (select ${DELIVERIES_OF_EVENT} as deliveries) c order by e.number`;

/** Locks rows in the order of their ids: two of these statements cannot deadlock. */
export const findEarlierEvents: Statements['findEarlierEvents'] = (lookups) => {
  const payloads = new PackedBytes();
  const rows = JSON.stringify(
    lookups.map(({ tokenHash, idempotencyKey, expiredAt, payload, type, wantsBatch }, index) => {
      const [start, length] = payloads.add(payload);
      const key = { token_hash: tokenHash, idempotency_key: idempotencyKey };
      return { index, ...key, expired_at: expiredAt, start, length, type, wants_batch: wantsBatch };
    }),
  );
  return [
    statement(sql<EarlierEventRow>`
      with lookup as (
        select * from json_to_recordset(${rows}::json)
          as l (index int, token_hash text, idempotency_key text, expired_at bigint, start int, length int, type text,
                wants_batch boolean)
      ), earlier as (
        select l.*, e.id, e.payload, e.type as earlier_type, e.batch, e.received_at <= to_timestamp(l.expired_at / 1000.0) as is_expired
        from lookup l
          join account a on a.token_hash = l.token_hash
          join event e on e.account_id = a.id and e.idempotency_key = l.idempotency_key
      ), expired as (
        select id from event where id in (select id from earlier where is_expired) order by id for update
      ), freed as (
        update event set idempotency_key = null, batch = null where id in (select id from expired)
      )
      select e.index as lookup, e.id,
        ${DELIVERIES_OF_EVENT} as "deliveries",
        e.batch is null and e.payload = substring(${payloads.toBuffer()}::bytea from e.start for e.length) as "hasSamePayload",
        e.earlier_type is not distinct from e.type as "hasSameType",
        case when e.wants_batch then e.batch end as "batch"
      from earlier e where not e.is_expired`),
  ];
};
