import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { openDurably, openForReading } from './file.ts';
import type {
  EventRow,
  FanOutRow,
  Opening,
  PlainStatement,
  Reply,
  Request,
  StatementResult,
  Step,
  StoreEvents,
} from './connection.ts';
import type { StoredBatch } from '../statements.ts';
import { deliveryIdOf } from '../../core/ids.ts';

/**
 * Runs in a thread of its own and owns the connection. SQLite's calls block, and a commit blocks for as long as the
 * disk takes. Here they delay only the next statement.
 */

/** The product has a few dozen statements, and MikroORM composes a bounded number of others. */
const STATEMENTS_KEPT_MAX = 256;

/** In bytes. Smaller Buffers share Node's pool with others, and cannot be transferred. */
const TRANSFERRED_BYTES_MIN = 16 * 1024;

const { path, isForReading } = workerData as Opening;
const database = isForReading ? openForReading(path) : openDurably(path);
const statements = new LRUCache<string, Database.Statement>({ max: STATEMENTS_KEPT_MAX });

/** Transactions that came while another one was open, statement by statement. */
let postponed: Exclude<Request, { kind: 'close' }>[] = [];

parentPort?.on('message', (request: Request) => {
  if (request.kind === 'close') {
    database.close();
    parentPort?.close();
  } else if (request.kind === 'transaction' && database.inTransaction) {
    postponed.push(request);
  } else {
    respond(request);
    if (postponed.length > 0 && !database.inTransaction) {
      const requests = postponed;
      postponed = [];
      requests.forEach(respond);
    }
  }
});

function respond(request: Exclude<Request, { kind: 'close' }>): void {
  const reply = replyTo(request);
  parentPort?.postMessage(reply, 'results' in reply ? reply.results.flatMap(({ rows }) => largeBytesIn(rows)) : []);
}

/** They are transferred. Copies would wait here for a garbage collection, which an idle thread does not make. */
function largeBytesIn(rows: readonly unknown[]): ArrayBuffer[] {
  return (rows as Record<string, unknown>[]).flatMap((row) =>
    Object.values(row).flatMap((value) =>
      value instanceof Uint8Array && value.length >= TRANSFERRED_BYTES_MIN && value.length === value.buffer.byteLength
        ? [value.buffer as ArrayBuffer]
        : [],
    ),
  );
}

function replyTo(request: Exclude<Request, { kind: 'close' }>): Reply {
  const { id } = request;
  try {
    return { id, results: request.kind === 'statement' ? [run(request.statement)] : runAll(request.steps) };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return { id, message, code };
  }
}

function runAll(steps: readonly Step[]): StatementResult[] {
  prepared('begin immediate').run();
  try {
    const results = steps.map((step) => ('procedure' in step ? storeEvents(prepared, step) : run(step)));
    prepared('commit').run();
    return results;
  } catch (error) {
    // A full disk, among others, has made SQLite roll back by itself.
    if (database.inTransaction) {
      prepared('rollback').run();
    }
    throw error;
  } finally {
    steps.forEach(release);
  }
}

/** Large payloads would add up until the garbage is collected. */
function release(step: Step): void {
  if ('payloads' in step && step.payloads.buffer instanceof ArrayBuffer) {
    step.payloads.buffer.transfer(0);
  }
}

function run({ sql, parameters }: PlainStatement): StatementResult {
  const statement = prepared(sql);
  return statement.reader
    ? { rows: statement.all(...parameters), changes: 0 }
    : { rows: [], changes: statement.run(...parameters).changes };
}

/** Preparing a statement costs about as much as running it. */
function prepared(sql: string): Database.Statement {
  const statement = statements.get(sql) ?? database.prepare(sql);
  statements.set(sql, statement);
  return statement;
}

type Prepare = (sql: string) => Database.Statement;

const FIND_ACCOUNT = 'select id, routing_version as version from account where token_hash = ?';
const INSERT_EVENT = `
  insert into event (id, account_id, payload, received_at, idempotency_key, hops, type, skipped, batch)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing`;
const INSERT_DELIVERY = `
  insert into delivery (id, event_id, destination_id, status, attempt_count) values (?, ?, ?, 'PENDING', 0)`;
const INSERT_QUEUED = `
  insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
  values (?, ?, ?, 0, 0, 0, ?, 0)`;

/**
 * Runs within a transaction. Bound values cost less than rows of JSON, which SQLite parses again for each statement.
 * There is one writer, so the versions that it reads are those of the commit.
 */
export function storeEvents(prepare: Prepare, { rows, fanOuts, payloads, now }: StoreEvents): StatementResult {
  const lists = JSON.parse(fanOuts) as FanOutRow[];
  const stored = { unknown: [] as number[], stale: [] as number[], duplicates: [] as number[] };
  const accountIds = lists.map(([tokenHash, version], number) => {
    const account = prepare(FIND_ACCOUNT).get(tokenHash) as { id: string; version: number } | undefined;
    if (account?.version === version) {
      return account.id;
    }
    stored[account === undefined ? 'unknown' : 'stale'].push(number);
    return undefined;
  });
  const insertEvent = prepare(INSERT_EVENT);
  const insert = { delivery: prepare(INSERT_DELIVERY), queued: prepare(INSERT_QUEUED) };
  const refused = new Set<string>();
  for (const [index, row] of (JSON.parse(rows) as EventRow[]).entries()) {
    const [id, fanOut, receivedAt, idempotencyKey, hops, type, start, end, follows = null, batch = null] = row;
    const accountId = accountIds[fanOut];
    if (accountId !== undefined && (follows === null || !refused.has(follows))) {
      const [, , destinationIds, skipped] = lists[fanOut] as FanOutRow;
      const payload = bytesOf(payloads, start, end);
      const values = [id, accountId, payload, receivedAt, idempotencyKey, hops, type, skipped, batch];
      if (insertEvent.run(values).changes === 0) {
        refused.add(id);
        stored.duplicates.push(index);
      } else {
        insertFanOut(insert, { id, now }, destinationIds);
      }
    }
  }
  return { rows: [stored satisfies StoredBatch], changes: 0 };
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
