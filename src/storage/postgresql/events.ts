import { sql } from 'kysely';
import { ID_STEM_CHARACTERS, ORDINAL_DIGITS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isVisibleDestination } from '../scope.ts';
import { PackedBytes, statement } from '../typed-statement.ts';
import type { EarlierEventRow, NewEvent, Statements, StoredBatch } from '../statements.ts';

interface StoredColumns {
  readonly accounts: readonly (readonly [tokenHash: string, id: string, destinationIds: readonly string[] | null])[];
  readonly duplicates: readonly number[];
}

/** All batches insert keys in the same order: in two orders, two batches could deadlock. */
const UNLESS_DUPLICATE = sql`
        order by account_id, idempotency_key
        on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;

/**
 * One statement for the whole batch, and so one transaction, one round trip and one commit. Destinations are not
 * locked: deleting one only marks it, and its rows are removed later than any statement may take. Of two batches with
 * the same key, the later one waits for the commit of the earlier one.
 *
 * `input` are the events, `known_account` the accounts of their tokens, `fan_out` the numbered destinations of each account,
 * `known` the events with an account, and `new_delivery` a row for each event that was stored and each destination.
 */
export const storeEvents: Statements<never>['storeEvents'] = (events) => {
  const payloads = new PackedBytes();
  const rows = JSON.stringify(events.map((event, index) => toRow(event, index, payloads)));
  // Inserts that may conflict take a little longer.
  const unlessDuplicate = events.some(({ idempotencyKey }) => idempotencyKey !== null) ? UNLESS_DUPLICATE : sql``;
  const query = sql<StoredColumns>`
      with input as materialized (
        select * from json_to_recordset(${rows}::json)
          as e (index int, id uuid, token_hash text, received_at float8, start int, length int, idempotency_key text,
                hops int)
      ), known_account as materialized (
        select t.token_hash, a.id from (select distinct token_hash from input) t
        cross join lateral (select id from account where token_hash = t.token_hash limit 1) a
      ), fan_out as materialized (
        select a.id as account_id, d.id as destination_id, row_number() over (partition by a.id order by d.id) as ordinal
        from known_account a cross join lateral (
          select id from destination where account_id = a.id and disabled_at is null offset 0
        ) d
      ), known as materialized (
        select i.*, a.id as account_id from input i join known_account a on a.token_hash = i.token_hash
      ), stored as (
        insert into event (id, account_id, payload, received_at, idempotency_key, hops)
        select id, account_id, substring(${payloads.toBuffer()}::bytea from start for length), to_timestamp(received_at),
               idempotency_key, hops
        from known ${unlessDuplicate}
        returning id, idempotency_key
      ), duplicate as materialized (
        select id, index from known
        where idempotency_key is not null and id not in (select id from stored where idempotency_key is not null)
      ), new_delivery as materialized (
        select (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)})
                 || lpad(to_hex(f.ordinal), ${sql.lit(ORDINAL_DIGITS)}, '0'))::uuid as id,
               e.id as event_id, f.destination_id
        from known e join fan_out f on f.account_id = e.account_id
        where e.id not in (select id from duplicate)
      ), inserted as (
        insert into delivery (id, event_id, destination_id, status, attempt_count)
        select id, event_id, destination_id, 'PENDING', 0 from new_delivery
      ), queued as (
        insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
        select id, event_id, destination_id, 0, 0, 0, now(), false from new_delivery
      )
      select
        (select coalesce(json_agg(json_build_array(a.token_hash, a.id,
           (select json_agg(f.destination_id order by f.ordinal) from fan_out f where f.account_id = a.id))), '[]')
         from known_account a) as "accounts",
        (select coalesce(json_agg(index), '[]') from duplicate) as "duplicates"`;
  return statement(query, toStoredBatch);
};

function toRow(event: NewEvent, index: number, payloads: PackedBytes): Record<string, unknown> {
  const [start, length] = payloads.add(event.payload);
  return {
    index,
    id: event.id,
    token_hash: event.tokenHash,
    received_at: event.receivedAt / 1_000,
    start,
    length,
    idempotency_key: event.idempotencyKey,
    hops: event.hops,
  };
}

function toStoredBatch({ accounts, duplicates }: StoredColumns): StoredBatch {
  const fanOuts = accounts.map(
    ([tokenHash, accountId, destinationIds]) =>
      [tokenHash, { accountId, destinationIds: destinationIds ?? [] }] as const,
  );
  return { fanOuts, duplicates };
}

/** Locks rows in the order of their ids: two of these statements cannot deadlock. */
export const findEarlierEvents: Statements['findEarlierEvents'] = (lookups) => {
  const payloads = new PackedBytes();
  const rows = JSON.stringify(
    lookups.map(({ tokenHash, idempotencyKey, expiredAt, payload }, index) => {
      const [start, length] = payloads.add(payload);
      return { index, token_hash: tokenHash, idempotency_key: idempotencyKey, expired_at: expiredAt, start, length };
    }),
  );
  return [
    statement(sql<EarlierEventRow>`
      with lookup as (
        select * from json_to_recordset(${rows}::json)
          as l (index int, token_hash text, idempotency_key text, expired_at bigint, start int, length int)
      ), earlier as (
        select l.*, e.id, e.payload, e.received_at <= to_timestamp(l.expired_at / 1000.0) as is_expired
        from lookup l
          join account a on a.token_hash = l.token_hash
          join event e on e.account_id = a.id and e.idempotency_key = l.idempotency_key
      ), expired as (
        select id from event where id in (select id from earlier where is_expired) order by id for update
      ), freed as (
        update event set idempotency_key = null where id in (select id from expired)
      )
      select e.index as lookup, e.id,
        (select count(*)::int from delivery
         where id > e.id and id <= (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff')::uuid
           and ${isVisibleDestination(sql`destination_id`, EVERYTHING)}) as "deliveries",
        e.payload = substring(${payloads.toBuffer()}::bytea from e.start for e.length) as "hasSamePayload"
      from earlier e where not e.is_expired`),
  ];
};
