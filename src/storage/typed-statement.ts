import type { RawBuilder } from 'kysely';

/** SQL, or a procedure if the database has one: SQLite stores events by a procedure. */
export type Query<Procedure = never> = RawBuilder<unknown> | Procedure;

/** A query in the words of one database, together with how its answer is read: the neutral code sees typed rows only. */
export interface Statement<Row, Procedure = never> {
  readonly query: Query<Procedure>;
  readonly read: (answer: Answer) => readonly Row[];
}

/** The rows as the driver gives them. Their columns are known to the statement alone. */
export type Answer = readonly unknown[];

/**
 * Runs the queries in one transaction and commits durably before it resolves. All of them are known before it begins,
 * because then SQLite's thread needs one message and not one for each.
 */
export type Transact<Procedure = never> = (queries: readonly Query<Procedure>[]) => Promise<readonly Answer[]>;

/** @param query its type argument names the columns, beside the SQL that selects them */
export function statement<Row>(query: RawBuilder<Row>): Statement<Row>;
export function statement<Columns, Row>(query: RawBuilder<Columns>, parse: (columns: Columns) => Row): Statement<Row>;
export function statement<Columns>(
  query: RawBuilder<Columns>,
  parse: (columns: Columns) => unknown = (columns) => columns,
): Statement<unknown> {
  return { query, read: (answer) => (answer as readonly Columns[]).map(parse) };
}

/** A statement that answers with no rows. */
export function command(query: RawBuilder<unknown>): Statement<never> {
  return { query, read: () => [] };
}

/**
 * Many byte strings as one parameter. A statement that writes a whole batch has two parameters, however large the
 * batch is: the rows as JSON, and their bytes end to end, each found again by offset and length.
 */
export class PackedBytes {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** @returns the offset as SQL's `substr` counts: from 1. */
  add(bytes: Buffer): [offset: number, length: number] {
    const offset = this.#length + 1;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    return [offset, bytes.length];
  }

  toBuffer(): Buffer {
    const [first] = this.#chunks;
    return first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#length);
  }
}
