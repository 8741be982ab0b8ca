import { type Kysely, sql } from 'kysely';
import type { Ticket } from '../core/delivery.ts';
import { deliveryIdOf } from '../core/ids.ts';
import { hashToken } from '../core/secrets.ts';
import type { BatchKind, Commits } from './group-commit.ts';
import type {
  EarlierEvent,
  EarlierEventLookup,
  EarlierEventRow,
  FanOut,
  NewEvent,
  StoredBatch,
  Statements,
} from './statements.ts';

/** For so long an idempotency key stands for its event; then it is free again. */
export const KEY_LIFETIME_MS = 24 * 3_600_000;
/** How often a key may be lost and taken again while it is looked up. More than once is an accident. */
const TRIES_MAX = 5;

export interface IncomingEvent extends Omit<NewEvent, 'tokenHash'> {
  /** The token of the account that sends it. */
  readonly token: string;
}

export interface AcceptedEvent {
  /** One for each delivery. */
  readonly tickets: readonly Ticket[];
  /** The event that has the same idempotency key. If there is one, nothing was stored. */
  readonly earlier?: EarlierEvent;
}

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #writes: EventWrites;
  readonly #database: Kysely<unknown>;

  constructor(writes: EventWrites, database: Kysely<unknown>) {
    this.#writes = writes;
    this.#database = database;
  }

  /**
   * Stores the event and one delivery for each destination that its account has at this moment. Resolves when the
   * commit is durable.
   *
   * @returns `undefined` when no account has this token; nothing is stored then.
   */
  async accept({ token, ...event }: IncomingEvent): Promise<AcceptedEvent | undefined> {
    const tokenHash = hashToken(token);
    // The unique index decides which event is first. Only a later statement can see that event.
    for (let attempt = 1; attempt <= TRIES_MAX; attempt += 1) {
      const tickets = await this.#writes.store({ ...event, tokenHash });
      if (tickets !== 'duplicate') {
        return tickets && { tickets };
      }
      const earlier = await this.#findEarlierEvent({ ...event, tokenHash });
      if (earlier !== undefined) {
        return { tickets: [], earlier };
      }
    }
    throw new Error('The idempotency key was taken and lost again too often.');
  }

  /** @returns `undefined` when the key has become free. */
  async #findEarlierEvent(event: NewEvent): Promise<EarlierEvent | undefined> {
    const { tokenHash, idempotencyKey, payload, receivedAt } = event;
    const expiredAt = receivedAt - KEY_LIFETIME_MS;
    return idempotencyKey === null
      ? undefined
      : this.#writes.findEarlierEvent({ tokenHash, idempotencyKey, payload, expiredAt });
  }

  async accountIdOf(token: string): Promise<string | undefined> {
    const { rows } = await sql<{ id: string }>`select id from account where token_hash = ${hashToken(token)}`.execute(
      this.#database,
    );
    return rows[0]?.id;
  }
}

/** The tickets of an event; `undefined` if its token is unknown. */
type StoreResult = readonly Ticket[] | 'duplicate' | undefined;

/** What waits for a group commit. */
export interface EventWrites {
  readonly store: (event: NewEvent) => Promise<StoreResult>;
  readonly findEarlierEvent: (lookup: EarlierEventLookup) => Promise<EarlierEvent | undefined>;
}

export function eventWrites<Procedure>(
  commits: Commits<Procedure>,
  { storeEvents, findEarlierEvents }: Pick<Statements<Procedure>, 'storeEvents' | 'findEarlierEvents'>,
): EventWrites {
  const events: BatchKind<NewEvent, StoreResult, StoredBatch, Procedure> = {
    bytesOf: ({ payload }) => payload.length,
    statements: (batch) => [storeEvents(batch)],
    results: storeResults,
  };
  const lookups: BatchKind<EarlierEventLookup, EarlierEvent | undefined, EarlierEventRow> = {
    bytesOf: ({ payload }) => payload.length,
    statements: findEarlierEvents,
    results: earlierEvents,
  };
  return { store: commits.register(events), findEarlierEvent: commits.register(lookups) };
}

function storeResults(events: readonly NewEvent[], [stored]: readonly StoredBatch[]): readonly StoreResult[] {
  const fanOuts = new Map(stored?.fanOuts);
  const duplicates = new Set(stored?.duplicates);
  return events.map(({ id, tokenHash }, index) => {
    const fanOut = fanOuts.get(tokenHash);
    return duplicates.has(index) ? 'duplicate' : fanOut && ticketsOf(id, fanOut);
  });
}

function ticketsOf(eventId: string, { accountId, destinationIds }: FanOut): readonly Ticket[] {
  return destinationIds.map((destinationId, index) => ({
    deliveryId: deliveryIdOf(eventId, index + 1),
    destinationId,
    accountId,
    attempt: 0,
  }));
}

function earlierEvents(
  lookups: readonly EarlierEventLookup[],
  rows: readonly EarlierEventRow[],
): readonly (EarlierEvent | undefined)[] {
  const byLookup = new Map(rows.map(({ lookup, ...earlier }) => [lookup, earlier]));
  return lookups.map((_, index) => byLookup.get(index));
}
