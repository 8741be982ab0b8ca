import { sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { PackedBytes } from '../packed-bytes.ts';
import { type Statements } from '../statements.ts';
import { type FanOut, storedEvents } from '../stored-events.ts';

interface SenderRow {
  readonly tokenHash: string;
  readonly accountId: string;
  /** A JSON list. */
  readonly destinationIds: string;
}

export const eventsBy = (clock: Clock): Statements['events'] => ({
  bytesOf: ({ payload }) => payload.length,

  statements(list) {
    const payloads = new PackedBytes();
    const now = clock.now();
    const rows = JSON.stringify(
      list.map(({ id, tokenHash, payload, receivedAt, idempotencyKey, hops }) => [
        id,
        tokenHash,
        receivedAt,
        ...payloads.add(payload),
        idempotencyKey,
        hops,
      ]),
    );
    const hashes = JSON.stringify([...new Set(list.map(({ tokenHash }) => tokenHash))]);
    // `cross join` fixes the order of the loops: the batch outside, each look-up by its index inside.
    const fanned = sql`
        select substr(e.value ->> 0, 1, ${sql.lit(ID_STEM_CHARACTERS)})
                 || printf('%03x', row_number() over (partition by e.key order by d.id)) as id,
               e.value ->> 0 as event_id, d.id as destination_id
        from json_each(${rows}) e
          cross join account a on a.token_hash = e.value ->> 1
          cross join destination d on d.account_id = a.id and d.disabled_at is null
        where e.value ->> 5 is null or exists (select 1 from event where id = e.value ->> 0)`;
    return [
      sql`
        insert into event (id, account_id, payload, received_at, idempotency_key, hops)
        select e.value ->> 0, a.id, substr(${payloads.toBuffer()}, e.value ->> 3, e.value ->> 4), e.value ->> 2,
               e.value ->> 5, e.value ->> 6
        from json_each(${rows}) e cross join account a on a.token_hash = e.value ->> 1
        where true
        on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`,
      sql`
        insert into delivery (id, event_id, destination_id, status, attempt_count)
        select id, event_id, destination_id, 'PENDING', 0 from (${fanned})`,
      sql`
        insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
        select id, event_id, destination_id, 0, 0, 0, ${now}, 0 from (${fanned})`,
      sql`
        select a.token_hash as "tokenHash", a.id as "accountId", (
          select json_group_array(id order by id) from destination where account_id = a.id and disabled_at is null
        ) as "destinationIds"
        from json_each(${hashes}) t cross join account a on a.token_hash = t.value`,
      // The exceptions, and not the rule: nothing has to be answered for an event that was stored.
      sql`
        select e.key as place from json_each(${rows}) e
        where e.value ->> 5 is not null and not exists (select 1 from event where id = e.value ->> 0)`,
    ];
  },

  results(list, [, , , senders = [], taken = []]) {
    const fanOuts = new Map<string, FanOut>(
      (senders as SenderRow[]).map(({ tokenHash, accountId, destinationIds }) => [
        tokenHash,
        { accountId, destinationIds: JSON.parse(destinationIds) as string[] },
      ]),
    );
    const places = (taken as { place: number }[]).map(({ place }) => place);
    return storedEvents(list, fanOuts, new Set(places));
  },
});
