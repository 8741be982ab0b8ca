import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Transact } from './statement.ts';

/** Something that reads as gone, and whose rows are still there. */
export interface Marked {
  readonly kind: 'account' | 'destination';
  readonly id: string;
}

/** The removals in the words of one database. Rows that somebody else has locked are passed over, never waited for. */
export interface CleaningStatements {
  /**
   * Work of a destination that is left, the longest due first.
   *
   * @param from nothing that was due before is looked at; milliseconds since the Unix epoch
   * @returns when each of the rows was due
   */
  readonly removeQueued: (destinationId: string, from: number, limit: number) => RawBuilder<{ dueAt: number }>;
  /**
   * In one transaction so many attempts of the deliveries, and then the deliveries that have none left. Both
   * answer one row for each that was removed.
   */
  readonly removeDeliveries: (
    ids: readonly string[],
    attemptsMax: number,
  ) => readonly [RawBuilder<unknown>, RawBuilder<unknown>];
  /** Answers one row for each that was removed. */
  readonly removeEvents: (ids: readonly string[]) => RawBuilder<unknown>;
}

/**
 * Where the next step begins. What is removed stays in the indexes of PostgreSQL for a while; without this each
 * step would walk over all that was removed before. Steps may forget it: then they begin at the beginning.
 */
export interface Place {
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
  /** Nothing is left. */
  readonly isDone: boolean;
}

interface CleaningParts {
  readonly database: Kysely<unknown>;
  readonly transact: Transact;
  readonly statements: CleaningStatements;
}

const LOWEST_ID = '00000000-0000-0000-0000-000000000000';
/** Of payloads in one step; more only when a single one has more. */
const BYTES_MAX = 4 * 1_048_576;

/**
 * Removes what deleted accounts and destinations have left, children first, a few rows at a time. The marks are
 * all the state there is: whoever is cut off goes on from there, and several may do this at once. Nothing may be
 * under way any more that began before the mark, because it could still write.
 */
export class Cleaning {
  readonly #parts: CleaningParts;

  constructor(parts: CleaningParts) {
    this.#parts = parts;
  }

  /** @param limit of each kind; what was deleted first comes first */
  async find(limit: number): Promise<readonly Marked[]> {
    const { rows } = await sql<Marked>`
      select * from (
        select 'destination' as kind, id from destination where deleted_at is not null order by deleted_at limit ${limit}
      ) x union all select * from (
        select 'account' as kind, id from account where deleted_at is not null order by deleted_at limit ${limit}
      ) a`.execute(this.#parts.database);
    return rows;
  }

  /** @param limit of rows in one table */
  async step({ kind, id }: Marked, place: Place, limit: number): Promise<Step> {
    const removed =
      kind === 'destination'
        ? (await this.#removeQueued(id, place, limit)) || (await this.#removeDeliveries(id, place, limit))
        : await this.#removeEvents(id, place, limit);
    return { removed, isDone: removed === 0 && (await this.#removeRow(kind, id)) };
  }

  async #removeQueued(id: string, place: Place, limit: number): Promise<number> {
    const { statements, database } = this.#parts;
    const { rows } = await statements.removeQueued(id, place.queuedFrom ?? 0, limit).execute(database);
    if (rows.length === 0 && place.queuedFrom !== undefined) {
      delete place.queuedFrom;
      return this.#removeQueued(id, place, limit);
    }
    place.queuedFrom = Math.max(place.queuedFrom ?? 0, ...rows.map(({ dueAt }) => dueAt));
    return rows.length;
  }

  async #removeDeliveries(id: string, place: Place, limit: number): Promise<number> {
    const { statements, database, transact } = this.#parts;
    const after = place.delivery ?? { status: '', id: LOWEST_ID };
    // An attempt is recorded only while its delivery is in the queue; so none can be added to these.
    const { rows } = await sql<DeliveryKey>`
      select id, status from delivery
      where destination_id = ${id} and (status, id) > (${after.status}, ${after.id})
        and not exists (select 1 from queue where destination_id = ${id})
      order by status, id limit ${limit}`.execute(database);
    const last = rows.at(-1);
    if (last === undefined) {
      return this.#again(place, 'delivery', () => this.#removeDeliveries(id, place, limit));
    }
    const list = rows.map((row) => row.id);
    const [attempts = [], deliveries = []] = await transact(statements.removeDeliveries(list, limit));
    if (deliveries.length === rows.length) {
      place.delivery = last;
    }
    return attempts.length + deliveries.length;
  }

  async #removeEvents(id: string, place: Place, limit: number): Promise<number> {
    const { statements, database } = this.#parts;
    // The lengths are added up before any bytes are read.
    const { rows } = await sql<{ id: string }>`
      with batch as (
        select id, length(payload) as length from event
        where account_id = ${id} and id > ${place.event ?? LOWEST_ID}
          and not exists (select 1 from destination where account_id = ${id})
        order by id limit ${limit}
      )
      select id from (select id, sum(length) over (order by id) - length as bytes_before from batch) b
      where bytes_before < ${BYTES_MAX} order by id`.execute(database);
    const last = rows.at(-1);
    if (last === undefined) {
      return this.#again(place, 'event', () => this.#removeEvents(id, place, limit));
    }
    const removed = (await statements.removeEvents(rows.map((row) => row.id)).execute(database)).rows.length;
    if (removed === rows.length) {
      place.event = last.id;
    }
    return removed;
  }

  /** Nothing is left from the place on; what is left before it had been locked. */
  async #again(place: Place, key: keyof Place, remove: () => Promise<number>): Promise<number> {
    if (place[key] === undefined) {
      return 0;
    }
    delete place[key];
    return remove();
  }

  async #removeRow(kind: Marked['kind'], id: string): Promise<boolean> {
    const isBare =
      kind === 'destination'
        ? sql`not exists (select 1 from queue where destination_id = ${id})
            and not exists (select 1 from delivery where destination_id = ${id})`
        : sql`not exists (select 1 from destination where account_id = ${id})
            and not exists (select 1 from event where account_id = ${id})`;
    const { rows } = await sql`
      delete from ${sql.table(kind)} where id = ${id} and deleted_at is not null and ${isBare}
      returning id`.execute(this.#parts.database);
    return rows.length > 0;
  }
}
