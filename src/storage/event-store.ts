import { type Kysely, sql } from 'kysely';
import { hashToken } from '../core/secret-token.ts';
import { Batch } from './batch.ts';
import type { CommitLine } from './commit-line.ts';
import type { AcceptedEvent, NewEvent, Statements } from './statements.ts';

export interface IncomingEvent extends Omit<NewEvent, 'tokenHash'> {
  /** The secret of the account that sends it. */
  readonly token: string;
}

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
  accept({ token, ...event }: IncomingEvent): Promise<AcceptedEvent | undefined> {
    return this.#batch.add({ ...event, tokenHash: hashToken(token) });
  }

  /** Is there an account with this token? Asked only of requests that are refused anyway. */
  async knowsToken(token: string): Promise<boolean> {
    return (await this.accountIdOf(token)) !== undefined;
  }

  async accountIdOf(token: string): Promise<string | undefined> {
    const { rows } = await sql<{ id: string }>`select id from account where token_hash = ${hashToken(token)}`.execute(
      this.#database,
    );
    return rows[0]?.id;
  }
}
