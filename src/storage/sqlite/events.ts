import type { Clock } from '../../core/clock.ts';
import type { NewEvent, Statements } from '../statements.ts';
import { type FanOut, storedEvents } from '../stored-events.ts';
import type { EventRow, StoredEvents, StoreEvents } from './protocol.ts';

export const eventsBy = (clock: Clock): Statements<StoreEvents>['events'] => ({
  bytesOf: ({ payload }) => payload.length,

  statements(list) {
    const { rows, chunks } = packed(list);
    return [{ procedure: 'store events', rows: JSON.stringify(rows), chunks, now: clock.now() }];
  },

  results(list, [rows = []]) {
    const [{ senders, taken }] = rows as [StoredEvents];
    const fanOuts = new Map<string, FanOut>(
      senders.map(([tokenHash, accountId, destinationIds]) => [tokenHash, { accountId, destinationIds }]),
    );
    return storedEvents(list, fanOuts, new Set(taken));
  },
});

/** All payloads end to end; but memory that threads share already goes along as it is. */
function packed(list: readonly NewEvent[]): { rows: EventRow[]; chunks: Uint8Array[] } {
  const bytes = list.reduce((sum, { payload }) => sum + (isShared(payload) ? 0 : payload.length), 0);
  // Of its own: a Buffer from Node's pool would take all of its slab along between the threads.
  const pack = Buffer.allocUnsafeSlow(bytes);
  const chunks: Uint8Array[] = [pack];
  let filled = 0;
  const rows = list.map(({ id, tokenHash, receivedAt, idempotencyKey, hops, payload }): EventRow => {
    const event = [id, tokenHash, receivedAt, idempotencyKey, hops] as const;
    if (isShared(payload)) {
      return [...event, chunks.push(payload) - 1, 0, payload.length];
    }
    const start = filled;
    filled += payload.copy(pack, start);
    return [...event, 0, start, filled];
  });
  return { rows, chunks };
}

function isShared({ buffer }: Buffer): boolean {
  return buffer instanceof SharedArrayBuffer;
}
