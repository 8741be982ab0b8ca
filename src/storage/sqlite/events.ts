import { sql } from 'kysely';
import { ORDINAL_DIGITS } from '../../core/ids.ts';
import { PackedBytes } from '../packed-bytes.ts';
import { KEY_TAKEN, type Statements } from '../statements.ts';
import { type FanOutRow, storedEvents } from '../stored-events.ts';

interface RefusedRow {
  readonly place: number;
  readonly isKnown: number;
}

const ID_STEM_CHARACTERS = 36 - ORDINAL_DIGITS;

export const EVENTS: Statements['events'] = {
  statements(events) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      events.map(({ id, tokenHash, payload, receivedAt, dueAt, idempotencyKey }) => [
        id,
        tokenHash,
        receivedAt,
        ...payloads.add(payload),
        dueAt,
        idempotencyKey,
      ]),
    );
    // `cross join` fixes the order of the loops: the batch outside, each look-up by its index inside.
    return [
      sql`
        insert into event (id, account_id, payload, received_at, idempotency_key)
        select e.value ->> 0, a.id, substr(${payloads.toBuffer()}, e.value ->> 3, e.value ->> 4), e.value ->> 2,
               e.value ->> 6
        from json_each(${rows}) e cross join account a on a.token_hash = e.value ->> 1
        where true
        on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`,
      sql`
        insert into delivery (id, event_id, destination_id, status, attempt_count, round_start, due_at)
        select substr(e.value ->> 0, 1, ${sql.lit(ID_STEM_CHARACTERS)})
                 || printf('%03x', row_number() over (partition by e.key order by d.id)),
               e.value ->> 0, d.id, 'PENDING', 0, 0, e.value ->> 5
        from json_each(${rows}) e
          cross join account a on a.token_hash = e.value ->> 1
          cross join destination d on d.account_id = a.id and d.disabled_at is null
        where e.value ->> 6 is null or exists (select 1 from event where id = e.value ->> 0)
        returning id as "deliveryId", destination_id as "destinationId", event_id as "eventId", attempt_count as "attempt",
                  (select account_id from destination where id = destination_id) as "accountId"`,
      // The exceptions, and not the rule: nothing has to be answered for an event that was stored.
      sql`
        select e.key as place, exists (select 1 from account where token_hash = e.value ->> 1) as "isKnown"
        from json_each(${rows}) e where not exists (select 1 from event where id = e.value ->> 0)`,
    ];
  },

  results(events, [, fanOut = [], refused = []]) {
    const refusals = new Map(
      (refused as RefusedRow[]).map(({ place, isKnown }) => [place, isKnown === 1 ? KEY_TAKEN : undefined] as const),
    );
    return storedEvents(events, fanOut as FanOutRow[], refusals);
  },
};
