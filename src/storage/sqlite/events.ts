import { sql } from 'kysely';
import type { Clock } from '../../core/clock.ts';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isVisibleDestination } from '../scope.ts';
import { command, PackedBytes, statement } from '../typed-statement.ts';
import type { StoredDestination, StoredRoutes } from '../../core/account-routes.ts';
import {
  type DeliveryCount,
  type EarlierEventRow,
  fanOutsOf,
  type NewEvent,
  type Statements,
  type StoredBatch,
} from '../statements.ts';
import type { EventRow, FanOutRow, StoreEvents } from './connection.ts';

type DestinationColumns = readonly [string, isEnabled: 0 | 1, string | null, string | null, string | null];
type RoutesColumns = Omit<StoredRoutes, 'tokenHash' | 'destinations'> & { readonly destinations: string };

/** One statement, so that the version and the destinations are of the same moment. */
export const findRoutes: Statements['findRoutes'] = (tokenHash) => [
  statement(
    sql<RoutesColumns>`
      select a.id as "accountId", a.routing_version as "version", a.event_type_path as "eventTypePath",
        (select json_group_array(json_array(id, disabled_at is null, event_types, filter, order_by)) from (
           select * from destination where account_id = a.id and deleted_at is null order by id
         )) as "destinations"
      from account a where a.token_hash = ${tokenHash}`,
    ({ destinations, ...columns }) => ({
      tokenHash,
      ...columns,
      destinations: (JSON.parse(destinations) as DestinationColumns[]).map(
        ([id, isEnabled, types, filter, orderBy]): StoredDestination => [id, isEnabled === 1, types, filter, orderBy],
      ),
    }),
  ),
];

/** The thread stores the events: see `storeEvents` in store-events.ts for the SQL. */
export const storeEventsBy =
  (clock: Clock): Statements<StoreEvents>['storeEvents'] =>
  (events) => {
    const { fanOuts, numbers } = fanOutsOf(events);
    const { rows, payloads } = packed(events, numbers);
    const lists = fanOuts.map(
      ({ tokenHash, version, destinationIds, skipped }): FanOutRow => [tokenHash, version, destinationIds, skipped],
    );
    return {
      query: {
        procedure: 'store events',
        rows: JSON.stringify(rows),
        fanOuts: JSON.stringify(lists),
        payloads,
        now: clock.now(),
      },
      read: (answer) => answer as readonly StoredBatch[],
    };
  };

function packed(
  events: readonly NewEvent[],
  fanOuts: readonly number[],
): {
  rows: EventRow[];
  payloads: Buffer<ArrayBuffer | SharedArrayBuffer>;
} {
  const [first] = events;
  if (first !== undefined && events.length === 1 && isShared(first.payload)) {
    return { rows: [toRow(first, 0, 0, first.payload.length)], payloads: first.payload };
  }
  // Not from Node's pool: the transfer between the threads would take the rest of its slab along.
  const payloads = Buffer.allocUnsafeSlow(events.reduce((sum, { payload }) => sum + payload.length, 0));
  let filled = 0;
  const rows = events.map((event, index) => {
    const start = filled;
    filled += event.payload.copy(payloads, start);
    return toRow(event, fanOuts[index] as number, start, filled);
  });
  return { rows, payloads };
}

function toRow(
  { id, receivedAt, idempotencyKey, hops, type, follows, batch, fanOut: { orderKeys } }: NewEvent,
  ...[fanOut, start, end]: readonly [fanOut: number, start: number, end: number]
): EventRow {
  const row = [id, fanOut, receivedAt, idempotencyKey, hops, type, start, end] as const;
  const isPlain = follows === undefined && batch === undefined && orderKeys === null;
  return isPlain ? row : [...row, follows ?? null, batch ?? null, orderKeys];
}

function isShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

interface EarlierEventColumns extends Omit<EarlierEventRow, 'hasSamePayload' | 'hasSameType'> {
  readonly hasSamePayload: 0 | 1;
  readonly hasSameType: 0 | 1;
}

const DELIVERIES_OF_EVENT = sql`
          (select count(*) from delivery
           where id > e.id and id <= substr(e.id, 1, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff'
             and ${isVisibleDestination(sql`destination_id`, EVERYTHING)})`;

export const countDeliveries: Statements['countDeliveries'] = (eventIds) => sql<DeliveryCount>`
    select e.id as "eventId", ${DELIVERIES_OF_EVENT} as deliveries
    from (select key, value as id from json_each(${JSON.stringify(eventIds)})) e order by e.key`;

export const findEarlierEvents: Statements['findEarlierEvents'] = (lookups) => {
  const payloads = new PackedBytes();
  const rows = JSON.stringify(
    lookups.map(({ tokenHash, idempotencyKey, expiredAt, payload, type, wantsBatch }) => [
      tokenHash,
      idempotencyKey,
      expiredAt,
      ...payloads.add(payload),
      type,
      wantsBatch,
    ]),
  );
  const earlierEvents = sql`
    from json_each(${rows}) l
      cross join account a on a.token_hash = l.value ->> 0
      cross join event e on e.account_id = a.id and e.idempotency_key = l.value ->> 1`;
  return [
    command(sql`
      update event set idempotency_key = null, batch = null
      where id in (select e.id ${earlierEvents} where e.received_at <= l.value ->> 2)`),
    statement(
      sql<EarlierEventColumns>`
        select l.key as lookup, e.id,
          ${DELIVERIES_OF_EVENT} as deliveries,
          e.batch is null and e.payload = substr(${payloads.toBuffer()}, l.value ->> 3, l.value ->> 4) as "hasSamePayload",
          e.type is l.value ->> 5 as "hasSameType",
          iif(l.value ->> 6, e.batch, null) as batch
        ${earlierEvents}`,
      ({ hasSamePayload, hasSameType, ...row }) => ({
        ...row,
        hasSamePayload: hasSamePayload === 1,
        hasSameType: hasSameType === 1,
      }),
    ),
  ];
};
