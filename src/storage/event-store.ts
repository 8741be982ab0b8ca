import { type Kysely, sql } from 'kysely';
import type { AccountRoutes, RoutableEvent, RoutedEvent } from '../core/account-routes.ts';
import type { Ticket } from '../core/delivery.ts';
import { type BatchMark, batchOf, type EarlierBatch, earlierBatch, type IncomingBatch } from './event-batch.ts';
import { deliveryIdOf } from '../core/ids.ts';
import { hashToken } from '../core/secrets.ts';
import type { BatchKind, Commits } from './group-commit.ts';
import type { Transact } from './typed-statement.ts';
import { RouteCache } from './route-cache.ts';
import {
  type DeliveryCount,
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

export interface IncomingEvent extends Omit<NewEvent, 'fanOut' | 'follows' | 'batch'> {
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

/** Decides where the events of a batch go, in their order. */
export type RouteAll = (
  routes: AccountRoutes,
  events: readonly RoutableEvent[],
) => RoutedEvent[] | Promise<RoutedEvent[]>;

export type AcceptedBatch =
  | { readonly events: readonly NewEvent[] }
  /** The batch or event that has the same idempotency key. If there is one, nothing was stored. */
  | { readonly earlier: EarlierBatch };

interface EventStoreParts {
  readonly database: Kysely<unknown>;
  /** For reading alone. */
  readonly reading: Kysely<unknown>;
  readonly transact: Transact;
  readonly statements: Pick<Statements, 'findRoutes' | 'countDeliveries'>;
}

/** An attempt to store events. */
interface Attempt<Accepted> {
  readonly result: StoreResult;
  readonly stored: () => Accepted;
  /** Finds what has the same idempotency key. @returns `undefined` when the key has become free. */
  readonly repeated: () => Promise<Accepted | undefined>;
}

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #writes: EventWrites;
  readonly #parts: EventStoreParts;
  readonly #routes: RouteCache;

  constructor(writes: EventWrites, parts: EventStoreParts) {
    const { transact, statements } = parts;
    this.#writes = writes;
    this.#parts = parts;
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
  accept({ token, ...incoming }: IncomingEvent, route: Route): Promise<AcceptedEvent | undefined> {
    return this.#untilSettled<AcceptedEvent>(token, async (routes) => {
      const { type, fanOut } = await route(routes, incoming);
      const event = { ...incoming, type, fanOut };
      return {
        result: await this.#writes.store(event),
        stored: () => ({ type, tickets: ticketsOf(event) }),
        repeated: async () => {
          const earlier = await this.#findEarlierEvent(event);
          return earlier && { type, tickets: [], earlier };
        },
      };
    });
  }

  /**
   * The same for the events of a batch: all are stored in one commit and by the same routes, or none is. The first one
   * holds the idempotency key.
   */
  acceptBatch(token: string, incoming: IncomingBatch, route: RouteAll): Promise<AcceptedBatch | undefined> {
    return this.#untilSettled<AcceptedBatch>(token, async (routes) => {
      const { contents, type } = incoming;
      const routed = await route(
        routes,
        contents.map(({ payload }) => ({ type, payload })),
      );
      const { events, mark } = batchOf(incoming, routed);
      return {
        result: await this.#writes.storeBatch(events),
        stored: () => ({ events }),
        repeated: async () => {
          const earlier = await this.#findEarlierBatch(events[0] as NewEvent, mark);
          return earlier && { earlier };
        },
      };
    });
  }

  async #untilSettled<Accepted>(
    token: string,
    attempt: (routes: AccountRoutes) => Promise<Attempt<Accepted>>,
  ): Promise<Accepted | undefined> {
    const tokenHash = hashToken(token);
    const giveUpAt = performance.now() + PATIENCE_MS;
    do {
      const routes = await this.#routes.get(tokenHash);
      if (routes === undefined) {
        return undefined;
      }
      const { result, stored, repeated } = await attempt(routes);
      if (result === 'stored') {
        return stored();
      }
      // The unique index decides which event is first. Only a later statement can see that event.
      const earlier = result === 'duplicate' ? await repeated() : undefined;
      if (earlier !== undefined) {
        return earlier;
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

  async #findEarlierEvent(event: NewEvent, wantsBatch = false): Promise<EarlierEvent | undefined> {
    const { fanOut, idempotencyKey, payload, type, receivedAt } = event;
    const { tokenHash } = fanOut;
    const expiredAt = receivedAt - KEY_LIFETIME_MS;
    return idempotencyKey === null
      ? undefined
      : this.#writes.findEarlierEvent({ tokenHash, idempotencyKey, payload, type, expiredAt, wantsBatch });
  }

  async #findEarlierBatch(first: NewEvent, mark: BatchMark): Promise<EarlierBatch | undefined> {
    const earlier = await this.#findEarlierEvent(first, true);
    return earlier && earlierBatch(earlier.batch, mark, (eventIds) => this.#countDeliveries(eventIds));
  }

  async #countDeliveries(eventIds: readonly string[]): Promise<readonly DeliveryCount[]> {
    const { reading, statements } = this.#parts;
    return (await statements.countDeliveries(eventIds).execute(reading)).rows;
  }

  async accountIdOf(token: string): Promise<string | undefined> {
    const { rows } = await sql<{ id: string }>`select id from account where token_hash = ${hashToken(token)}`.execute(
      this.#parts.database,
    );
    return rows[0]?.id;
  }
}

/** `unknown` when no account has the token, and `stale` when the account has other routes now. */
type StoreResult = 'stored' | 'duplicate' | 'stale' | 'unknown';

/** What waits for a group commit. */
export interface EventWrites {
  readonly store: (event: NewEvent) => Promise<StoreResult>;
  /** All of them or none. */
  readonly storeBatch: (events: readonly NewEvent[]) => Promise<StoreResult>;
  readonly findEarlierEvent: (lookup: EarlierEventLookup) => Promise<EarlierEvent | undefined>;
}

/**
 * @param commits for single events
 * @param batchCommits for batches, which are a kind of their own: single events do not queue behind them
 */
export function eventWrites<Procedure>(
  commits: Commits<Procedure>,
  batchCommits: Commits<Procedure>,
  { storeEvents, findEarlierEvents }: Pick<Statements<Procedure>, 'storeEvents' | 'findEarlierEvents'>,
): EventWrites {
  const events: BatchKind<NewEvent, StoreResult, StoredBatch, Procedure> = {
    bytesOf: ({ payload }) => payload.length,
    weightOf,
    statements: (batch) => [storeEvents(batch)],
    results: storeResults,
  };
  const batches: BatchKind<readonly NewEvent[], StoreResult, StoredBatch, Procedure> = {
    bytesOf: (batch) => batch.reduce((sum, { payload }) => sum + payload.length, 0),
    weightOf: (batch) => batch.reduce((sum, event) => sum + weightOf(event), 0),
    ownerOf: ([first]) => first?.fanOut.accountId,
    statements: (all) => [storeEvents(all.flat())],
    results: batchResults,
  };
  const lookups: BatchKind<EarlierEventLookup, EarlierEvent | undefined, EarlierEventRow> = {
    bytesOf: ({ payload }) => payload.length,
    statements: findEarlierEvents,
    results: earlierEvents,
  };
  return {
    store: commits.register(events),
    storeBatch: batchCommits.register(batches),
    findEarlierEvent: commits.register(lookups),
  };
}

/** So many deliveries take about as long as an event without any. */
const DELIVERIES_PER_EVENT = 4;

function weightOf({ fanOut }: NewEvent): number {
  return 1 + fanOut.destinationIds.length / DELIVERIES_PER_EVENT;
}

/** What has happened to the first event of a batch has happened to all. */
function batchResults(
  batches: readonly (readonly NewEvent[])[],
  stored: readonly StoredBatch[],
): readonly StoreResult[] {
  const results = storeResults(batches.flat(), stored);
  let first = 0;
  return batches.map(({ length }) => {
    const result = results[first] as StoreResult;
    first += length;
    return result;
  });
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

export function ticketsOf({
  id,
  fanOut: { accountId, destinationIds },
}: Pick<NewEvent, 'id' | 'fanOut'>): readonly Ticket[] {
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
