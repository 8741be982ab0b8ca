import { type Kysely, sql } from 'kysely';
import { Batch } from './batch.ts';
import type { CommitLine } from './commit-line.ts';
import type { AcceptedEvent, NewEvent, Statements } from './statements.ts';

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #batch: Batch<NewEvent, AcceptedEvent | undefined>;
  readonly #database: Kysely<unknown>;

  constructor(line: CommitLine, database: Kysely<unknown>, statements: Statements) {
    this.#database = database;
    this.#batch = new Batch(line, statements.events);
  }

  /**
   * Stores the event and one delivery for each destination its account has at this moment. Resolves when
   * the commit is durable.
   *
   * @returns `undefined` when no account has this token; nothing is stored then.
   */
  accept(event: NewEvent): Promise<AcceptedEvent | undefined> {
    return this.#batch.add(event);
  }

  /** Is there an account with this token? Asked only of requests that are refused anyway. */
  async knowsToken(token: string): Promise<boolean> {
    const { rows } = await sql`select 1 from account where app_secret_token = ${token}`.execute(this.#database);
    return rows.length > 0;
  }
}
