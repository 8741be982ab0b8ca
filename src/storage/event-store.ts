import { type Kysely, sql } from 'kysely';
import type { AccountRoutes, RoutableEvent, RoutedEvent } from '../core/account-routes.ts';
import type { Ticket } from '../core/delivery.ts';
import { deliveryIdOf } from '../core/ids.ts';
import { hashToken } from '../core/secrets.ts';
import type { BatchKind, Commits } from './group-commit.ts';
import type { Transact } from './typed-statement.ts';
import { RouteCache } from './route-cache.ts';
import {
  type EarlierEvent,
  type EarlierEventLookup,
  type EarlierEventRow,
  fanOutsOf,
  type NewEvent,
  type StoredBatch,
  type Statements,
} from './statements.ts';

/** For so long an idempotency key stands for its event; then it is free again. */
export const KEY_LIFETIME_MS = 24 * 3_600_000;
/** For so long routes may change, or a key be lost and taken again, while an event is stored. More than once is rare. */
const PATIENCE_MS = 3_000;

export interface IncomingEvent extends Omit<NewEvent, 'fanOut'> {
  /** The token of the account that sends it. */
  readonly token: string;
}

export interface AcceptedEvent {
  readonly type: string | null;
  /** One for each delivery. */
  readonly tickets: readonly Ticket[];
  /** The event that has the same idempotency key. If there is one, nothing was stored. */
  readonly earlier?: EarlierEvent;
}

/** Decides where an event goes. */
export type Route = (routes: AccountRoutes, event: RoutableEvent) => RoutedEvent | Promise<RoutedEvent>;

interface EventStoreParts {
  readonly database: Kysely<unknown>;
  readonly transact: Transact;
  readonly statements: Pick<Statements, 'findRoutes'>;
}

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #writes: EventWrites;
  readonly #database: Kysely<unknown>;
  readonly #routes: RouteCache;

  constructor(writes: EventWrites, { database, transact, statements }: EventStoreParts) {
    this.#writes = writes;
    this.#database = database;
    this.#routes = new RouteCache(async (tokenHash) => {
      const found = statements.findRoutes(tokenHash);
      const answers = await transact(found.map(({ query }) => query));
      return found.flatMap(({ read }, index) => read(answers[index] ?? []))[0];
    });
  }

  /**
   * Stores the event and one delivery for each destination that it goes to by the routes of its account at the commit.
   * Resolves when the commit is durable.
   *
   * @param route called again when the routes have changed before the commit
   * @returns `undefined` when no account has this token; nothing is stored then.
   */
  async accept({ token, ...incoming }: IncomingEvent, route: Route): Promise<AcceptedEvent | undefined> {
    const tokenHash = hashToken(token);
    const giveUpAt = performance.now() + PATIENCE_MS;
    do {
      const routes = await this.#routes.get(tokenHash);
      if (routes === undefined) {
        return undefined;
      }
      const { type, fanOut } = await route(routes, incoming);
      const event = { ...incoming, type, fanOut };
      const result = await this.#writes.store(event);
      if (result === 'stored') {
        return { type, tickets: ticketsOf(event) };
      }
      // The unique index decides which event is first. Only a later statement can see that event.
      const earlier = result === 'duplicate' ? await this.#findEarlierEvent(event) : undefined;
      if (earlier !== undefined) {
        return { type, tickets: [], earlier };
      }
      if (result !== 'duplicate') {
        this.#routes.drop(routes);
      }
      if (result === 'unknown') {
        return undefined;
      }
    } while (performance.now() < giveUpAt);
    throw new Error('The routes of the account or the idempotency key changed too often while the event was stored.');
  }

  /** @returns `undefined` when the key has become free. */
  async #findEarlierEvent(event: NewEvent): Promise<EarlierEvent | undefined> {
    const { fanOut, idempotencyKey, payload, type, receivedAt } = event;
    const expiredAt = receivedAt - KEY_LIFETIME_MS;
    return idempotencyKey === null
      ? undefined
      : this.#writes.findEarlierEvent({ tokenHash: fanOut.tokenHash, idempotencyKey, payload, type, expiredAt });
  }

  async accountIdOf(token: string): Promise<string | undefined> {
    const { rows } = await sql<{ id: string }>`select id from account where token_hash = ${hashToken(token)}`.execute(
      this.#database,
    );
    return rows[0]?.id;
  }
}

/** `unknown` when no account has the token, and `stale` when the account has other routes now. */
type StoreResult = 'stored' | 'duplicate' | 'stale' | 'unknown';

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
  const { unknown = [], stale = [], duplicates = [] } = stored ?? {};
  if (unknown.length + stale.length + duplicates.length === 0) {
    return events.map(() => 'stored');
  }
  const { numbers } = fanOutsOf(events);
  const [unknownNumbers, staleNumbers, repeated] = [new Set(unknown), new Set(stale), new Set(duplicates)];
  return numbers.map((number, index) => {
    if (unknownNumbers.has(number)) {
      return 'unknown';
    }
    return staleNumbers.has(number) ? 'stale' : repeated.has(index) ? 'duplicate' : 'stored';
  });
}

function ticketsOf({ id, fanOut: { accountId, destinationIds } }: NewEvent): readonly Ticket[] {
  return destinationIds.map((destinationId, index) => ({
    deliveryId: deliveryIdOf(id, index + 1),
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
