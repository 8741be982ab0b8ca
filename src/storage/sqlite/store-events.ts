import type Database from 'better-sqlite3';
import { deliveryIdOf } from '../../core/ids.ts';
import type { EventRow, StatementResult, StoredEvents, StoreEvents } from './protocol.ts';

type Prepare = (sql: string) => Database.Statement;

const FIND_ACCOUNT = 'select id from account where token_hash = ?';
const FIND_DESTINATIONS = 'select id from destination where account_id = ? and disabled_at is null order by id';
const INSERT_EVENT = `
  insert into event (id, account_id, payload, received_at, idempotency_key, hops) values (?, ?, ?, ?, ?, ?)
  on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;
const INSERT_DELIVERY = `
  insert into delivery (id, event_id, destination_id, status, attempt_count) values (?, ?, ?, 'PENDING', 0)`;
const INSERT_QUEUED = `
  insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
  values (?, ?, ?, 0, 0, 0, ?, 0)`;

interface Sender {
  readonly accountId: string;
  readonly destinationIds: readonly string[];
}

/**
 * Runs within a transaction. Bound values cost less than rows of JSON that SQLite takes apart again for each
 * statement, and an account is asked for once in a transaction.
 */
export function storeEvents(prepare: Prepare, { rows, payloads, now }: StoreEvents): StatementResult {
  const senders = new Map<string, Sender | undefined>();
  const insertEvent = prepare(INSERT_EVENT);
  const fanOut = { delivery: prepare(INSERT_DELIVERY), queued: prepare(INSERT_QUEUED) };
  const taken: number[] = [];
  for (const [place, row] of (JSON.parse(rows) as EventRow[]).entries()) {
    const [id, tokenHash, receivedAt, idempotencyKey, hops, start, end] = row;
    if (!senders.has(tokenHash)) {
      senders.set(tokenHash, findSender(prepare, tokenHash));
    }
    const sender = senders.get(tokenHash);
    if (sender !== undefined) {
      const payload = bytesOf(payloads, start, end);
      const { changes } = insertEvent.run(id, sender.accountId, payload, receivedAt, idempotencyKey, hops);
      if (changes === 0) {
        taken.push(place);
      } else {
        insertFanOut(fanOut, { id, now }, sender.destinationIds);
      }
    }
  }
  const answer: StoredEvents = {
    senders: [...senders].flatMap(([hash, sender]) =>
      sender === undefined ? [] : [[hash, sender.accountId, sender.destinationIds] as const],
    ),
    taken,
  };
  return { rows: [answer], changes: 0 };
}

function findSender(prepare: Prepare, tokenHash: string): Sender | undefined {
  const account = prepare(FIND_ACCOUNT).get(tokenHash) as { id: string } | undefined;
  return (
    account && {
      accountId: account.id,
      destinationIds: (prepare(FIND_DESTINATIONS).all(account.id) as { id: string }[]).map(({ id }) => id),
    }
  );
}

function insertFanOut(
  { delivery, queued }: Record<'delivery' | 'queued', Database.Statement>,
  { id, now }: { id: string; now: number },
  destinationIds: readonly string[],
): void {
  for (const [index, destinationId] of destinationIds.entries()) {
    const deliveryId = deliveryIdOf(id, index + 1);
    delivery.run(deliveryId, id, destinationId);
    queued.run(deliveryId, id, destinationId, now);
  }
}

/** The driver takes bytes as Buffers only. */
function bytesOf({ buffer, byteOffset }: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(buffer, byteOffset + start, end - start);
}
