import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Transact } from './typed-statement.ts';

/** Something that is marked as deleted, and whose rows still exist. */
export interface Deleted {
  readonly kind: 'account' | 'destination';
  readonly id: string;
}

/** Each database has its own. Rows that another transaction has locked are passed over. */
export interface CleaningStatements {
  /**
   * Removes queued deliveries of a destination, the longest due first.
   *
   * @param from earlier due times are not looked at; milliseconds since the Unix epoch
   * @returns the due time of each removed row.
   */
  readonly removeQueued: (destinationId: string, from: number, limit: number) => RawBuilder<{ dueAt: number }>;
  /**
   * Removes some attempts of the deliveries, and then the deliveries that have none left, in one transaction. Events
   * keep their routes, unless the whole account is deleted. The first statement answers with one row for each removed
   * attempt, the last one with one for each removed delivery.
   */
  readonly removeDeliveries: (ids: readonly string[], attemptsMax: number) => readonly RawBuilder<unknown>[];
  /** Answers with one row for each removed row. */
  readonly removeEvents: (ids: readonly string[]) => RawBuilder<unknown>;
}

/**
 * Where the next step begins. Removed rows stay in PostgreSQL's indexes for a while, and each step would walk over all
 * of them again. An empty cursor begins at the beginning.
 */
export interface CleaningCursor {
  queuedFrom?: number;
  delivery?: DeliveryKey;
  event?: string;
}

interface DeliveryKey {
  readonly id: string;
  readonly status: string;
}

export interface Step {
  readonly removed: number;
  /** Nothing is left, not even the account or destination itself. */
  readonly isDone: boolean;
}

interface CleaningParts {
  readonly database: Kysely<unknown>;
  readonly transact: Transact;
  readonly statements: CleaningStatements;
}

const LOWEST_ID = '00000000-0000-0000-0000-000000000000';
/** Of payloads in one step; a single payload may be larger. */
const BYTES_MAX = 4 * 1_048_576;

/**
 * Removes the rows of deleted accounts and destinations, children first, a few at a time. `deleted_at` is all the state:
 * an interrupted removal goes on from there, and several processes may remove at once. Statements that began before the
 * deletion must have ended, because they could still write.
 */
export class Cleaning {
  readonly #parts: CleaningParts;

  constructor(parts: CleaningParts) {
    this.#parts = parts;
  }

  /** The earliest deletions come first. @param limit of each kind */
  async find(limit: number): Promise<readonly Deleted[]> {
    const { rows } = await sql<Deleted>`
      select * from (
        select 'destination' as kind, id from destination where deleted_at is not null order by deleted_at limit ${limit}
      ) x union all select * from (
        select 'account' as kind, id from account where deleted_at is not null order by deleted_at limit ${limit}
      ) a`.execute(this.#parts.database);
    return rows;
  }

  /** @param limit of rows in one table */
  async step({ kind, id }: Deleted, cursor: CleaningCursor, limit: number): Promise<Step> {
    const removed =
      kind === 'destination'
        ? (await this.#removeQueued(id, cursor, limit)) || (await this.#removeDeliveries(id, cursor, limit))
        : await this.#removeEvents(id, cursor, limit);
    return { removed, isDone: removed === 0 && (await this.#removeRow(kind, id)) };
  }

  async #removeQueued(id: string, cursor: CleaningCursor, limit: number): Promise<number> {
    const { statements, database } = this.#parts;
    const { rows } = await statements.removeQueued(id, cursor.queuedFrom ?? 0, limit).execute(database);
    if (rows.length === 0 && cursor.queuedFrom !== undefined) {
      delete cursor.queuedFrom;
      return this.#removeQueued(id, cursor, limit);
    }
    cursor.queuedFrom = Math.max(cursor.queuedFrom ?? 0, ...rows.map(({ dueAt }) => dueAt));
    return rows.length;
  }

  async #removeDeliveries(id: string, cursor: CleaningCursor, limit: number): Promise<number> {
    const { statements, database, transact } = this.#parts;
    const after = cursor.delivery ?? { status: '', id: LOWEST_ID };
    // Attempts are recorded only while their delivery is in the queue. These deliveries get no more.
    const { rows } = await sql<DeliveryKey>`
      select id, status from delivery
      where destination_id = ${id} and (status, id) > (${after.status}, ${after.id})
        and not exists (select 1 from queue where destination_id = ${id})
      order by status, id limit ${limit}`.execute(database);
    const last = rows.at(-1);
    if (last === undefined) {
      return this.#again(cursor, 'delivery', () => this.#removeDeliveries(id, cursor, limit));
    }
    const list = rows.map((row) => row.id);
    const answers = await transact(statements.removeDeliveries(list, limit));
    const [attempts = [], deliveries = []] = [answers.at(0), answers.at(-1)];
    if (deliveries.length === rows.length) {
      cursor.delivery = last;
    }
    return attempts.length + deliveries.length;
  }

  async #removeEvents(id: string, cursor: CleaningCursor, limit: number): Promise<number> {
    const { statements, database } = this.#parts;
    // Adds up lengths, and reads no payload.
    const { rows } = await sql<{ id: string }>`
      with batch as (
        select id, length(payload) as length from event
        where account_id = ${id} and id > ${cursor.event ?? LOWEST_ID}
          and not exists (select 1 from destination where account_id = ${id})
        order by id limit ${limit}
      )
      select id from (select id, sum(length) over (order by id) - length as bytes_before from batch) b
      where bytes_before < ${BYTES_MAX} order by id`.execute(database);
    const last = rows.at(-1);
    if (last === undefined) {
      return this.#again(cursor, 'event', () => this.#removeEvents(id, cursor, limit));
    }
    const removed = (await statements.removeEvents(rows.map((row) => row.id)).execute(database)).rows.length;
    if (removed === rows.length) {
      cursor.event = last.id;
    }
    return removed;
  }

  /** Nothing is left from the cursor on. Rows before it may be left, which were locked. */
  async #again(cursor: CleaningCursor, key: keyof CleaningCursor, remove: () => Promise<number>): Promise<number> {
    if (cursor[key] === undefined) {
      return 0;
    }
    delete cursor[key];
    return remove();
  }

  async #removeRow(kind: Deleted['kind'], id: string): Promise<boolean> {
    const { database } = this.#parts;
    if (kind === 'destination') {
      // It does not come back: only a destination that is enabled gets one.
      await sql`delete from destination_rate where destination_id = ${id}`.execute(database);
    }
    const isBare =
      kind === 'destination'
        ? sql`not exists (select 1 from queue where destination_id = ${id})
            and not exists (select 1 from delivery where destination_id = ${id})`
        : sql`not exists (select 1 from destination where account_id = ${id})
            and not exists (select 1 from event where account_id = ${id})`;
    const { rows } = await sql`
      delete from ${sql.table(kind)} where id = ${id} and deleted_at is not null and ${isBare}
      returning id`.execute(database);
    return rows.length > 0;
  }
}
