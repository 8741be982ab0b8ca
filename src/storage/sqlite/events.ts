import { sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import type { EarlierEvent, NewEvent, Statements } from '../statements.ts';
import { type FanOut, storedEvents } from '../event-store.ts';
import type { EventRow, StoredEvents, StoreEvents } from './connection.ts';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isLivingDestination } from '../scope.ts';
import { PackedBytes, type Statement } from '../group-commit.ts';

export const eventsBy = (clock: Clock): Statements<StoreEvents>['events'] => ({
  bytesOf: ({ payload }) => payload.length,

  statements(list) {
    const { rows, payloads } = packed(list);
    return [{ procedure: 'store events', rows: JSON.stringify(rows), payloads, now: clock.now() }];
  },

  results(list, [rows = []]) {
    const [{ senders, taken }] = rows as [StoredEvents];
    const fanOuts = new Map<string, FanOut>(
      senders.map(([tokenHash, accountId, destinationIds]) => [tokenHash, { accountId, destinationIds }]),
    );
    return storedEvents(list, fanOuts, new Set(taken));
  },
});

function packed(list: readonly NewEvent[]): { rows: EventRow[]; payloads: Buffer<ArrayBuffer | SharedArrayBuffer> } {
  const [first] = list;
  if (first !== undefined && list.length === 1 && isShared(first.payload)) {
    return { rows: [toRow(first, 0, first.payload.length)], payloads: first.payload };
  }
  // Of its own: a Buffer from Node's pool would take all of its slab along between the threads.
  const payloads = Buffer.allocUnsafeSlow(list.reduce((sum, { payload }) => sum + payload.length, 0));
  let filled = 0;
  const rows = list.map((event) => {
    const start = filled;
    filled += event.payload.copy(payloads, start);
    return toRow(event, start, filled);
  });
  return { rows, payloads };
}

function toRow({ id, tokenHash, receivedAt, idempotencyKey, hops }: NewEvent, start: number, end: number): EventRow {
  return [id, tokenHash, receivedAt, idempotencyKey, hops, start, end];
}

function isShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

type Row = Omit<EarlierEvent, 'hasSamePayload'> & { readonly place: number; readonly hasSamePayload: number };

export const KEY_LOOKUPS: Statements<Statement>['keyLookups'] = {
  statements(questions) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      questions.map(({ tokenHash, idempotencyKey, expiredAt, payload }) => [
        tokenHash,
        idempotencyKey,
        expiredAt,
        ...payloads.add(payload),
      ]),
    );
    const holders = sql`
      from json_each(${rows}) q
        cross join account a on a.token_hash = q.value ->> 0
        cross join event e on e.account_id = a.id and e.idempotency_key = q.value ->> 1`;
    return [
      sql`
        update event set idempotency_key = null
        where id in (select e.id ${holders} where e.received_at <= q.value ->> 2)`,
      sql`
        select q.key as place, e.id, (select count(*) from delivery
                where ${isLivingDestination(sql`destination_id`, EVERYTHING)} and id > e.id and id <= substr(e.id, 1, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff') as deliveries,
               e.payload = substr(${payloads.toBuffer()}, q.value ->> 3, q.value ->> 4) as "hasSamePayload"
        ${holders}`,
    ];
  },

  results(questions, [, rows = []]) {
    const byPlace = new Map((rows as Row[]).map((row) => [row.place, row]));
    return questions.map((_, place) => {
      const row = byPlace.get(place);
      return row && { id: row.id, deliveries: row.deliveries, hasSamePayload: row.hasSamePayload === 1 };
    });
  },
};
