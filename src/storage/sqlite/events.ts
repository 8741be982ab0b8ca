import type { Clock } from '../../core/clock.ts';
import type { NewEvent, Statements } from '../statements.ts';
import { type FanOut, storedEvents } from '../stored-events.ts';
import type { EventRow, StoredEvents, StoreEvents } from './protocol.ts';

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
