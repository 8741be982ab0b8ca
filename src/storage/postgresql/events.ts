import { sql } from 'kysely';
import { ID_STEM_CHARACTERS, ORDINAL_DIGITS } from '../../core/ids.ts';
import { PackedBytes, type Statement } from '../group-commit.ts';
import type { EarlierEvent, NewEvent, Statements } from '../statements.ts';
import { type FanOut, storedEvents } from '../event-store.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isLivingDestination } from '../scope.ts';

interface Answer {
  /** The senders of the batch. */
  readonly senders: readonly [tokenHash: string, accountId: string, destinationIds: readonly string[] | null][] | null;
  /** The places in the batch of events whose key another event of the account has. */
  readonly taken: readonly number[] | null;
}

const UNLESS_TAKEN = sql`
          order by account_id, idempotency_key
          on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;

/**
 * One statement for the whole batch, which is its own transaction: one round trip, one commit. Destinations are
 * not locked: one that is deleted meanwhile is only marked, and what is deleted is removed later than any
 * statement may take. Of two batches with the same key the later waits for the earlier one's commit: keys come in
 * one order in all of them, or two batches would wait for each other.
 */
export const EVENTS: Statements<Statement>['events'] = {
  bytesOf: ({ payload }) => payload.length,

  statements(events) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(events.map((event, place) => toRow(event, place, payloads)));
    // What conflicts could take a little longer to insert, so only what can.
    const unlessTaken = events.some(({ idempotencyKey }) => idempotencyKey !== null) ? UNLESS_TAKEN : sql``;
    return [
      sql`
        with input as materialized (
          select * from json_to_recordset(${rows}::json)
            as e (place int, id uuid, token_hash text, received_at float8, start int, length int, idempotency_key text,
                  hops int)
        ), sender as materialized (
          select t.token_hash, a.id from (select distinct token_hash from input) t
          cross join lateral (select id from account where token_hash = t.token_hash limit 1) a
        ), target as materialized (
          select s.id as account_id, d.id, row_number() over (partition by s.id order by d.id) as ordinal
          from sender s cross join lateral (
            select id from destination where account_id = s.id and disabled_at is null offset 0
          ) d
        ), accepted as materialized (
          select i.*, s.id as account_id from input i join sender s on s.token_hash = i.token_hash
        ), stored as (
          insert into event (id, account_id, payload, received_at, idempotency_key, hops)
          select id, account_id, substring(${payloads.toBuffer()}::bytea from start for length), to_timestamp(received_at),
                 idempotency_key, hops
          from accepted ${unlessTaken}
          returning id, idempotency_key
        ), taken as materialized (
          select id, place from accepted
          where idempotency_key is not null and id not in (select id from stored where idempotency_key is not null)
        ), fanned as materialized (
          select (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)})
                   || lpad(to_hex(t.ordinal), ${sql.lit(ORDINAL_DIGITS)}, '0'))::uuid as id,
                 e.id as event_id, t.id as destination_id
          from accepted e join target t on t.account_id = e.account_id
          where e.id not in (select id from taken)
        ), inserted as (
          insert into delivery (id, event_id, destination_id, status, attempt_count)
          select id, event_id, destination_id, 'PENDING', 0 from fanned
        ), queued as (
          insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
          select id, event_id, destination_id, 0, 0, 0, now(), false from fanned
        )
        select
          (select json_agg(json_build_array(s.token_hash, s.id,
             (select json_agg(t.id order by t.ordinal) from target t where t.account_id = s.id))) from sender s) as "senders",
          (select json_agg(place) from taken) as "taken"`,
    ];
  },

  results(events, [rows = []]) {
    const [answer] = rows as readonly Answer[];
    const fanOuts = new Map<string, FanOut>(
      (answer?.senders ?? []).map(([tokenHash, accountId, destinationIds]) => [
        tokenHash,
        { accountId, destinationIds: destinationIds ?? [] },
      ]),
    );
    return storedEvents(events, fanOuts, new Set(answer?.taken));
  },
};

function toRow(event: NewEvent, place: number, payloads: PackedBytes): Record<string, unknown> {
  const [start, length] = payloads.add(event.payload);
  return {
    place,
    id: event.id,
    token_hash: event.tokenHash,
    received_at: event.receivedAt / 1_000,
    start,
    length,
    idempotency_key: event.idempotencyKey,
    hops: event.hops,
  };
}

type Row = EarlierEvent & { readonly place: number };

/** Rows are locked in the order of their ids, so that two of these statements cannot wait for each other. */
export const KEY_LOOKUPS: Statements<Statement>['keyLookups'] = {
  statements(questions) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      questions.map(({ tokenHash, idempotencyKey, expiredAt, payload }, place) => {
        const [start, length] = payloads.add(payload);
        return { place, token_hash: tokenHash, idempotency_key: idempotencyKey, expired_at: expiredAt, start, length };
      }),
    );
    return [
      sql`
        with question as (
          select * from json_to_recordset(${rows}::json)
            as q (place int, token_hash text, idempotency_key text, expired_at bigint, start int, length int)
        ), holder as (
          select q.*, e.id, e.payload, e.received_at <= to_timestamp(q.expired_at / 1000.0) as is_expired
          from question q
            join account a on a.token_hash = q.token_hash
            join event e on e.account_id = a.id and e.idempotency_key = q.idempotency_key
        ), expired as (
          select id from event where id in (select id from holder where is_expired) order by id for update
        ), freed as (
          update event set idempotency_key = null where id in (select id from expired)
        )
        select h.place, h.id, (select count(*)::int from delivery
                where ${isLivingDestination(sql`destination_id`, EVERYTHING)} and id > h.id and id <= (left(h.id::text, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff')::uuid) as "deliveries",
               h.payload = substring(${payloads.toBuffer()}::bytea from h.start for h.length) as "hasSamePayload"
        from holder h where not h.is_expired`,
    ];
  },

  results(questions, [rows = []]) {
    const byPlace = new Map((rows as readonly Row[]).map(({ place, ...earlier }) => [place, earlier]));
    return questions.map((_, place) => byPlace.get(place));
  },
};
