import { type Kysely, sql } from 'kysely';
import { hashToken } from '../core/secrets.ts';
import type { GroupCommit } from './group-commit.ts';
import {
  type EarlierEvent,
  KEY_TAKEN,
  type KeyLookup,
  type NewEvent,
  type Statements,
  type StoredEvent,
} from './statements.ts';
import { deliveryIdOf } from '../core/ids.ts';

/** For so long an idempotency key stands for its event; then it is free again. */
export const KEY_LIFETIME_MS = 24 * 3_600_000;
/** How often a key may be lost and taken again while it is asked for. More than once is an accident. */
const ROUNDS_MAX = 5;

export interface IncomingEvent extends Omit<NewEvent, 'tokenHash'> {
  /** The secret of the account that sends it. */
  readonly token: string;
}

export interface AcceptedEvent extends StoredEvent {
  /** The event that has the key already; nothing was stored then. */
  readonly earlier?: EarlierEvent;
}

/** What is written in groups. */
export interface EventWrites {
  readonly store: (event: NewEvent) => Promise<StoredEvent | typeof KEY_TAKEN | undefined>;
  readonly findEarlierEvent: (question: KeyLookup) => Promise<EarlierEvent | undefined>;
}

export function eventWrites<Step>(
  commits: GroupCommit<Step>,
  { events, keyLookups }: Pick<Statements<Step>, 'events' | 'keyLookups'>,
): EventWrites {
  return { store: commits.register(events), findEarlierEvent: commits.register(keyLookups) };
}

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #store: EventWrites['store'];
  readonly #findEarlierEvent: EventWrites['findEarlierEvent'];
  readonly #database: Kysely<unknown>;

  constructor({ store, findEarlierEvent }: EventWrites, database: Kysely<unknown>) {
    this.#database = database;
    this.#store = store;
    this.#findEarlierEvent = findEarlierEvent;
  }

  /**
   * Stores the event and one delivery for each destination its account has at this moment. Resolves when
   * the commit is durable.
   *
   * @returns `undefined` when no account has this token; nothing is stored then.
   */
  async accept({ token, ...event }: IncomingEvent): Promise<AcceptedEvent | undefined> {
    const tokenHash = hashToken(token);
    // The index decides who is first. Whoever it was can be seen by the next statement, and not by the same one.
    for (let round = 1; round <= ROUNDS_MAX; round += 1) {
      const stored = await this.#store({ ...event, tokenHash });
      if (stored !== KEY_TAKEN) {
        return stored;
      }
      const earlier = await this.#holderOfKey({ ...event, tokenHash });
      if (earlier !== undefined) {
        return { tickets: [], earlier };
      }
    }
    throw new Error('The idempotency key was taken and lost again too often.');
  }

  /** @returns `undefined` when the key is free by now. */
  async #holderOfKey(event: NewEvent): Promise<EarlierEvent | undefined> {
    const { tokenHash, idempotencyKey, payload, receivedAt } = event;
    const expiredAt = receivedAt - KEY_LIFETIME_MS;
    return idempotencyKey === null
      ? undefined
      : this.#findEarlierEvent({ tokenHash, idempotencyKey, payload, expiredAt });
  }

  async accountIdOf(token: string): Promise<string | undefined> {
    const { rows } = await sql<{ id: string }>`select id from account where token_hash = ${hashToken(token)}`.execute(
      this.#database,
    );
    return rows[0]?.id;
  }
}

/** Where the events of one account went, in the order in which their deliveries are numbered. */
export interface FanOut {
  readonly accountId: string;
  readonly destinationIds: readonly string[];
}

/**
 * What became of each event of a batch, in the batch's order.
 *
 * @param fanOuts by the hash of the account's token; one that is not among them is unknown
 * @param taken the places of events whose idempotency key another event has
 */
export function storedEvents(
  events: readonly NewEvent[],
  fanOuts: ReadonlyMap<string, FanOut>,
  taken: ReadonlySet<number>,
): (StoredEvent | typeof KEY_TAKEN | undefined)[] {
  return events.map(({ id, tokenHash }, place) => {
    const fanOut = fanOuts.get(tokenHash);
    if (fanOut === undefined) {
      return undefined;
    }
    return taken.has(place) ? KEY_TAKEN : { tickets: ticketsOf(id, fanOut) };
  });
}

function ticketsOf(eventId: string, { accountId, destinationIds }: FanOut): StoredEvent['tickets'] {
  return destinationIds.map((destinationId, index) => ({
    deliveryId: deliveryIdOf(eventId, index + 1),
    destinationId,
    accountId,
    attempt: 0,
  }));
}
