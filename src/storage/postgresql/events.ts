import { sql } from 'kysely';
import { ORDINAL_DIGITS } from '../../core/ids.ts';
import type { Ticket } from '../../core/ticket.ts';
import { PackedBytes } from '../packed-bytes.ts';
import type { Statements } from '../statements.ts';

interface Answer {
  readonly fanOut: readonly (Ticket & { readonly eventId: string })[] | null;
  /** The places in the batch of events whose token nobody has. */
  readonly unknown: readonly number[] | null;
}

const ID_STEM_CHARACTERS = 36 - ORDINAL_DIGITS;

/**
 * One statement for the whole batch, which is its own transaction: one round trip, one commit. The accounts
 * and destinations are locked against being deleted meanwhile; a foreign key that fails would take the
 * others' events along.
 */
export const EVENTS: Statements['events'] = {
  statements(events) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      events.map(({ id, tokenHash, payload, receivedAt, dueAt }, place) => {
        const [start, length] = payloads.add(payload);
        return { place, id, token_hash: tokenHash, received_at: receivedAt, due_at: dueAt, start, length };
      }),
    );
    return [
      sql`
        with input as (
          select * from json_to_recordset(${rows}::json)
            as e (place int, id uuid, token_hash text, received_at bigint, due_at bigint, start int, length int)
        ), sender as (
          select id, token_hash from account
          where token_hash in (select token_hash from input) order by id for key share
        ), target as (
          select id, account_id from destination
          where account_id in (select id from sender) order by id for key share
        ), accepted as (
          select i.*, s.id as account_id, to_timestamp(i.received_at / 1000.0) as at, to_timestamp(i.due_at / 1000.0) as due
          from input i join sender s on s.token_hash = i.token_hash
        ), stored as (
          insert into event (id, account_id, payload, received_at)
          select id, account_id, substring(${payloads.toBuffer()}::bytea from start for length), at from accepted
        ), fanned as (
          insert into delivery (id, event_id, destination_id, status, attempt_count, round_start, due_at)
          select (left(e.id::text, ${sql.lit(ID_STEM_CHARACTERS)})
                   || lpad(to_hex(row_number() over (partition by e.id order by t.id)), ${sql.lit(ORDINAL_DIGITS)}, '0'))::uuid,
                 e.id, t.id, 'PENDING', 0, 0, e.due
          from accepted e join target t on t.account_id = e.account_id
          returning id, event_id, destination_id
        )
        select
          (select json_agg(json_build_object(
             'deliveryId', f.id, 'destinationId', t.id, 'accountId', t.account_id, 'eventId', f.event_id, 'attempt', 0))
           from fanned f join target t on t.id = f.destination_id) as "fanOut",
          (select json_agg(place) from input i
           where not exists (select 1 from sender s where s.token_hash = i.token_hash)) as "unknown"`,
    ];
  },

  results(events, [rows = []]) {
    const [answer] = rows as readonly Answer[];
    const fanOuts = Map.groupBy(answer?.fanOut ?? [], ({ eventId }) => eventId);
    const refused = new Set(answer?.unknown);
    return events.map(({ id }, place) =>
      refused.has(place)
        ? undefined
        : {
            tickets: (fanOuts.get(id) ?? []).map(({ deliveryId, destinationId, accountId, attempt }) => ({
              deliveryId,
              destinationId,
              accountId,
              attempt,
            })),
          },
    );
  },
};
