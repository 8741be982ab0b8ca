import type Database from 'better-sqlite3';
import { deliveryIdOf } from '../../core/ids.ts';
import { PARKED_UNTIL } from '../delivery-order.ts';
import type { StoredBatch } from '../statements.ts';
import type { EventRow, FanOutRow, StatementResult, StoreEvents } from './connection.ts';

type Prepare = (sql: string) => Database.Statement;

const FIND_ACCOUNT = `
  select id, routing_version as version, coalesce(order_seq, 0) as lastNumber from account where token_hash = ?`;
const INSERT_EVENT = `
  insert into event (id, account_id, payload, received_at, idempotency_key, hops, type, skipped, batch)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;
const INSERT_DELIVERY = `
  insert into delivery (id, event_id, destination_id, status, attempt_count) values (?, ?, ?, 'PENDING', 0)`;
const INSERT_QUEUED = `
  insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
  values (?, ?, ?, 0, 0, 0, ?, 0)`;

const INSERT_ORDERED = `
  insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits,
                     order_key, order_seq)
  values (?, ?, ?, 0, 0, 0, ?, 0, ?, ?)`;
const FIND_PREDECESSOR = 'select 1 from queue where destination_id = ? and order_key = ? limit 1';
const KEEP_NUMBER = 'update account set order_seq = ? where id = ?';

/** An account with one or more fan-outs in the batch. */
interface Account {
  readonly id: string;
  readonly version: number;
  /** Of the last event that has an order. */
  lastNumber: number;
}

/**
 * Runs within a transaction. Bound values cost less than rows of JSON, which SQLite parses again for each statement.
 * There is one writer, so the versions and numbers that it reads are those of the commit.
 */
export function storeEvents(prepare: Prepare, { rows, fanOuts, payloads, now }: StoreEvents): StatementResult {
  const lists = JSON.parse(fanOuts) as FanOutRow[];
  const stored = { unknown: [] as number[], stale: [] as number[], duplicates: [] as number[] };
  const accounts = accountsOf(prepare, lists, stored);
  const insertEvent = prepare(INSERT_EVENT);
  const inserts = new FanOutInserts(prepare, now);
  const refused = new Set<string>();
  for (const [index, row] of (JSON.parse(rows) as EventRow[]).entries()) {
    const [id, fanOut, receivedAt, idempotencyKey, hops, type, start, end, follows = null, batch = null, keys = null] =
      row;
    const account = accounts[fanOut];
    if (account !== undefined && (follows === null || !refused.has(follows))) {
      const [, , destinationIds, skipped] = lists[fanOut] as FanOutRow;
      const payload = bytesOf(payloads, start, end);
      const values = [id, account.id, payload, receivedAt, idempotencyKey, hops, type, skipped, batch];
      if (insertEvent.run(values).changes === 0) {
        refused.add(id);
        stored.duplicates.push(index);
      } else {
        inserts.insert(id, destinationIds, keys && { keys, account });
      }
    }
  }
  inserts.finish();
  return { rows: [stored satisfies StoredBatch], changes: 0 };
}

/** For each fan-out, unless its token is unknown or its routes have changed. Fan-outs of one account share it. */
function accountsOf(
  prepare: Prepare,
  lists: readonly FanOutRow[],
  { unknown, stale }: Record<'unknown' | 'stale', number[]>,
): (Account | undefined)[] {
  const byToken = new Map<string, Account | undefined>();
  return lists.map(([tokenHash, version], number) => {
    const account = byToken.get(tokenHash) ?? (prepare(FIND_ACCOUNT).get(tokenHash) as Account | undefined);
    byToken.set(tokenHash, account);
    if (account?.version === version) {
      return account;
    }
    (account === undefined ? unknown : stale).push(number);
    return undefined;
  });
}

/** Inserts deliveries and their rows of the queue, and numbers the events that have an order. See delivery-order.ts. */
class FanOutInserts {
  readonly #prepare: Prepare;
  readonly #now: number;
  readonly #delivery: Database.Statement;
  readonly #queued: Database.Statement;
  readonly #numbered = new Set<Account>();

  constructor(prepare: Prepare, now: number) {
    this.#prepare = prepare;
    this.#now = now;
    this.#delivery = prepare(INSERT_DELIVERY);
    this.#queued = prepare(INSERT_QUEUED);
  }

  insert(
    eventId: string,
    destinationIds: readonly string[],
    order: { readonly keys: readonly (string | null)[]; readonly account: Account } | null,
  ): void {
    if (order !== null) {
      order.account.lastNumber += 1;
      this.#numbered.add(order.account);
    }
    for (const [index, destinationId] of destinationIds.entries()) {
      const deliveryId = deliveryIdOf(eventId, index + 1);
      const key = order?.keys[index] ?? null;
      this.#delivery.run(deliveryId, eventId, destinationId);
      if (order === null || key === null) {
        this.#queued.run(deliveryId, eventId, destinationId, this.#now);
      } else {
        const hasPredecessor = this.#prepare(FIND_PREDECESSOR).get(destinationId, key) !== undefined;
        const dueAt = hasPredecessor ? PARKED_UNTIL : this.#now;
        const { lastNumber } = order.account;
        this.#prepare(INSERT_ORDERED).run(deliveryId, eventId, destinationId, dueAt, key, lastNumber);
      }
    }
  }

  /** The numbers of the accounts are stored once. */
  finish(): void {
    for (const { id, lastNumber } of this.#numbered) {
      this.#prepare(KEEP_NUMBER).run(lastNumber, id);
    }
  }
}

/** The driver takes bytes as Buffers only. */
function bytesOf({ buffer, byteOffset }: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(buffer, byteOffset + start, end - start);
}
