import { sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isVisibleDestination } from '../scope.ts';
import { command, PackedBytes, statement } from '../typed-statement.ts';
import type { EarlierEventRow, NewEvent, Statements, StoredBatch } from '../statements.ts';
import type { EventRow, StoreEvents } from './connection.ts';

/** The thread stores the events: see `storeEvents` in thread.ts for the SQL. */
export const storeEventsBy =
  (clock: Clock): Statements<StoreEvents>['storeEvents'] =>
  (events) => {
    const { rows, payloads } = packed(events);
    return {
      query: { procedure: 'store events', rows: JSON.stringify(rows), payloads, now: clock.now() },
      read: (answer) => answer as readonly StoredBatch[],
    };
  };

function packed(events: readonly NewEvent[]): {
  rows: EventRow[];
  payloads: Buffer<ArrayBuffer | SharedArrayBuffer>;
} {
  const [first] = events;
  if (first !== undefined && events.length === 1 && isShared(first.payload)) {
    return { rows: [toRow(first, 0, first.payload.length)], payloads: first.payload };
  }
  // Not from Node's pool: the transfer between the threads would take the rest of its slab along.
  const payloads = Buffer.allocUnsafeSlow(events.reduce((sum, { payload }) => sum + payload.length, 0));
  let filled = 0;
  const rows = events.map((event) => {
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

type EarlierEventColumns = Omit<EarlierEventRow, 'hasSamePayload'> & { readonly hasSamePayload: 0 | 1 };

export const findEarlierEvents: Statements['findEarlierEvents'] = (lookups) => {
  const payloads = new PackedBytes();
  const rows = JSON.stringify(
    lookups.map(({ tokenHash, idempotencyKey, expiredAt, payload }) => [
      tokenHash,
      idempotencyKey,
      expiredAt,
      ...payloads.add(payload),
    ]),
  );
  const earlierEvents = sql`
    from json_each(${rows}) l
      cross join account a on a.token_hash = l.value ->> 0
      cross join event e on e.account_id = a.id and e.idempotency_key = l.value ->> 1`;
  return [
    command(sql`
      update event set idempotency_key = null
      where id in (select e.id ${earlierEvents} where e.received_at <= l.value ->> 2)`),
    statement(
      sql<EarlierEventColumns>`
        select l.key as lookup, e.id,
          (select count(*) from delivery
           where id > e.id and id <= substr(e.id, 1, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff'
             and ${isVisibleDestination(sql`destination_id`, EVERYTHING)}) as deliveries,
          e.payload = substr(${payloads.toBuffer()}, l.value ->> 3, l.value ->> 4) as "hasSamePayload"
        ${earlierEvents}`,
      ({ hasSamePayload, ...row }) => ({ ...row, hasSamePayload: hasSamePayload === 1 }),
    ),
  ];
};
