import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import type { Answer } from '../typed-statement.ts';

/** The thread of a connection starts with these. */
export interface Opening {
  readonly path: string;
  readonly isForReading: boolean;
}

/** Messages from the main thread to the thread of the connection. */
export type Request =
  | { readonly kind: 'statement'; readonly id: number; readonly statement: PlainStatement }
  /** Runs all the steps between `begin` and `commit`, or none. Waits while another transaction is open. */
  | { readonly kind: 'transaction'; readonly id: number; readonly steps: readonly Step[] }
  | { readonly kind: 'close' };

export type Step = PlainStatement | StoreEvents;

export interface PlainStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Stores events with their fan-out, row by row. Answers with one row: a `StoredBatch`. */
export interface StoreEvents {
  readonly procedure: 'store events';
  /** An `EventRow[]` as JSON, which is cheaper to pass between threads than the rows themselves. */
  readonly rows: string;
  /** A `FanOutRow[]` as JSON. */
  readonly fanOuts: string;
  /** All payloads end to end. The thread releases the memory, unless it is shared. */
  readonly payloads: Uint8Array<ArrayBuffer | SharedArrayBuffer>;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

export type FanOutRow = readonly [
  tokenHash: string,
  version: number,
  destinationIds: readonly string[],
  skipped: string | null,
];

export type EventRow = readonly [
  id: string,
  /** Its index. */
  fanOut: number,
  receivedAt: number,
  idempotencyKey: string | null,
  hops: number,
  type: string | null,
  /** Of the payload, among all payloads. */
  start: number,
  end: number,
  /** This and what comes after it is left out where all is null. */
  follows?: string | null,
  batch?: string | null,
  orderKeys?: readonly (string | null)[] | null,
];

export interface StatementResult {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

/** @property id of the request */
export type Reply = { readonly id: number } & (
  | { readonly results: readonly StatementResult[] }
  | { readonly message: string; readonly code: string | undefined }
);

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (cause: unknown) => void;
}

/** SQLite's own error, as the thread reported it. `code` is SQLite's, such as SQLITE_FULL. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError';
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

/** The connection as the main thread sees it: statements go to its thread, and results come back in order. */
export class ThreadedConnection implements DatabaseConnection {
  /** Resolves when the thread has ended by itself. Nothing can be read or stored then. */
  readonly died: Promise<Error>;
  readonly #worker: Worker;
  /** By the ids of their requests. */
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #failure: unknown;
  #isClosing = false;

  constructor(path: string, { isForReading = false }: { readonly isForReading?: boolean } = {}) {
    // The thread's file is compiled if this one is.
    const file = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: { path, isForReading } satisfies Opening,
    });
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () =>
      this.#fail(new SqliteError('The connection to the database is closed.', 'DATABASE_CLOSED')),
    );
    this.died = new Promise((resolve) => {
      this.#worker.once('exit', () => !this.#isClosing && resolve(this.#death()));
    });
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const [result] = await this.#ask((id) => ({ kind: 'statement', id, statement: { sql, parameters } }));
    return { rows: (result?.rows ?? []) as Row[], numAffectedRows: BigInt(result?.changes ?? 0) };
  }

  /** Waits in the thread while another transaction is open. The memory of payloads is transferred to it, or shared. */
  async transact(steps: readonly Step[]): Promise<readonly Answer[]> {
    const owned = steps.flatMap((step) => {
      const memory = 'payloads' in step ? step.payloads.buffer : undefined;
      return memory instanceof ArrayBuffer ? [memory] : [];
    });
    return (await this.#ask((id) => ({ kind: 'transaction', id, steps }), owned)).map(({ rows }) => rows);
  }

  streamQuery(): never {
    throw new Error('The SQLite connection does not stream; read in pages.');
  }

  async close(): Promise<void> {
    if (this.#failure === undefined) {
      const closed = once(this.#worker, 'exit');
      this.#isClosing = true;
      this.#post({ kind: 'close' });
      await closed;
    }
  }

  /** Ends the thread after its present statement. Requests under way are rejected. */
  abandon(): void {
    this.#isClosing = true;
    this.#fail(new SqliteError('The connection to the database is closed.', 'DATABASE_CLOSED'));
    void this.#worker.terminate();
    this.#worker.unref();
  }

  async #ask(
    requestOf: (id: number) => Request,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<readonly StatementResult[]> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, { resolve, reject });
      this.#post(requestOf(this.#lastId), transfer);
    });
    if ('message' in reply) {
      throw new SqliteError(reply.message, reply.code);
    }
    for (const { rows } of reply.results) {
      restoreBuffers(rows);
    }
    return reply.results;
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    waiting?.resolve(reply);
  }

  #post(request: Request, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #death(): Error {
    const { message } = this.#failure as Error;
    return new Error(
      `The thread of the database has died (${message.split('\n', 1).join()}). Start the process again.`,
      {
        cause: this.#failure,
      },
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) {
      reject(this.#failure);
    }
    this.#waiting.clear();
  }
}

/** A Buffer arrives from another thread as a plain byte array. */
function restoreBuffers(rows: readonly unknown[]): void {
  for (const row of rows as Record<string, unknown>[]) {
    for (const column in row) {
      const value = row[column];
      if (value instanceof Uint8Array) {
        row[column] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      }
    }
  }
}
