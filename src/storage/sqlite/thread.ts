import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { openDurably, openForReading } from './file.ts';
import type { Opening, PlainStatement, Reply, Request, StatementResult, Step } from './connection.ts';
import { storeEvents } from './store-events.ts';

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
