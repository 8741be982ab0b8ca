import { sql } from 'kysely';
import { ORDINAL_DIGITS } from '../../core/ids.ts';
import { PackedBytes } from '../packed-bytes.ts';
import { KEY_TAKEN, type Statements } from '../statements.ts';
import { type FanOutRow, storedEvents } from '../stored-events.ts';

interface Answer {
  readonly fanOut: readonly FanOutRow[] | null;
  /** The places in the batch of events whose token nobody has. */
  readonly unknown: readonly number[] | null;
  /** Those of events whose key another event of the account has. */
  readonly taken: readonly number[] | null;
}

const ID_STEM_CHARACTERS = 36 - ORDINAL_DIGITS;
const UNLESS_TAKEN = sql`
          order by account_id, idempotency_key
          on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;

/**
 * One statement for the whole batch, which is its own transaction: one round trip, one commit. The accounts
 * and destinations are locked against being deleted meanwhile; a foreign key that fails would take the
 * others' events along. Of two batches with the same key the later waits for the earlier one's commit: keys come
 * in one order in all of them, or two batches would wait for each other.
 */
export const EVENTS: Statements['events'] = {
  statements(events) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      events.map(({ id, tokenHash, payload, receivedAt, dueAt, idempotencyKey }, place) => {
        const [start, length] = payloads.add(payload);
        const times = { received_at: receivedAt, due_at: dueAt };
        return { place, id, token_hash: tokenHash, ...times, start, length, idempotency_key: idempotencyKey };
      }),
    );
    // What conflicts could take a little longer to insert, so only what can.
    const unlessTaken = events.some(({ idempotencyKey }) => idempotencyKey !== null) ? UNLESS_TAKEN : sql``;
    return [
      sql`
        with input as (
          select * from json_to_recordset(${rows}::json)
            as e (place int, id uuid, token_hash text, received_at bigint, due_at bigint, start int, length int,
                  idempotency_key text)
        ), sender as (
          select id, token_hash from account
          where token_hash in (select token_hash from input) order by id for key share
        ), target as (
          select id, account_id from destination
          where account_id in (select id from sender) and disabled_at is null order by id for key share
        ), accepted as (
          select i.*, s.id as account_id, to_timestamp(i.received_at / 1000.0) as at, to_timestamp(i.due_at / 1000.0) as due
          from input i join sender s on s.token_hash = i.token_hash
        ), stored as (
          insert into event (id, account_id, payload, received_at, idempotency_key)
          select id, account_id, substring(${payloads.toBuffer()}::bytea from start for length), at, idempotency_key
          from accepted ${unlessTaken}
          returning id, idempotency_key
        ), taken as (
          select id, place from accepted
          where idempotency_key is not null and id not in (select id from stored where idempotency_key is not null)
        ), fanned as (
          insert into delivery (id, event_id, destination_id, status, attempt_count, round_start, due_at)
          select (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)})
                   || lpad(to_hex(row_number() over (partition by e.id order by t.id)), ${sql.lit(ORDINAL_DIGITS)}, '0'))::uuid,
                 e.id, t.id, 'PENDING', 0, 0, e.due
          from accepted e join target t on t.account_id = e.account_id
          where e.id not in (select id from taken)
          returning id, event_id, destination_id
        )
        select
          (select json_agg(json_build_object(
             'deliveryId', f.id, 'destinationId', t.id, 'accountId', t.account_id, 'eventId', f.event_id, 'attempt', 0))
           from fanned f join target t on t.id = f.destination_id) as "fanOut",
          (select json_agg(place) from input i
           where not exists (select 1 from sender s where s.token_hash = i.token_hash)) as "unknown",
          (select json_agg(place) from taken) as "taken"`,
    ];
  },

  results(events, [rows = []]) {
    const [answer] = rows as readonly Answer[];
    const refusals = new Map([
      ...(answer?.unknown ?? []).map((place) => [place, undefined] as const),
      ...(answer?.taken ?? []).map((place) => [place, KEY_TAKEN] as const),
    ]);
    return storedEvents(events, answer?.fanOut ?? [], refusals);
  },
};
