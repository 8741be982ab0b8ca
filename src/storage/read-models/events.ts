import type DataLoader from 'dataloader';
import { sql } from 'kysely';
import { includes, type Scope } from '../../core/scope.ts';
import type { EntityManager } from '@mikro-orm/sql';
import { isVisibleAccount } from '../scope.ts';
import {
  allFound,
  type Count,
  COUNT_LIMIT,
  COUNTS_PER_STATEMENT,
  exactly,
  ID_BEYOND_ALL,
  manyByKey,
  type Meter,
  oneByKey,
  type Page,
  type PageArguments,
  PageLoaders,
  select,
} from './reading.ts';
import { Event, type EventEntity } from '../entities.ts';
import type { KeyedId, Statements } from '../statements.ts';

/** Payloads up to this size share a statement. */
const SMALL_BYTES = 16 * 1024;
const SMALL_PER_STATEMENT = 50;

interface PayloadRow {
  readonly id: string;
  readonly payload: Buffer;
}

interface LengthRow {
  readonly id: string;
  readonly bytes: number;
}

/** Reads of payloads. Lengths come first: a payload that the request may not read is never taken from the disk. */
class PayloadReads {
  readonly #em: EntityManager;
  readonly #scope: Scope;
  readonly #meter: Meter;
  readonly #lengths;
  readonly #small;
  readonly #large;

  constructor(em: EntityManager, scope: Scope, meter: Meter) {
    this.#em = em;
    this.#scope = scope;
    this.#meter = meter;
    this.#lengths = oneByKey(
      meter,
      (ids) => this.#findLengths(ids),
      ({ id }) => id,
    );
    this.#small = this.#loader(SMALL_PER_STATEMENT);
    this.#large = this.#loader(1);
  }

  /** The received bytes; `undefined` when the event was deleted meanwhile. @throws DomainError TOO_EXPENSIVE */
  async payload(eventId: string): Promise<Buffer | undefined> {
    const length = await this.#lengths.load(eventId);
    if (length === undefined) {
      return undefined;
    }
    this.#meter.expect(length.bytes);
    const payloads = length.bytes > SMALL_BYTES ? this.#large : this.#small;
    return (await payloads.load(eventId))?.payload;
  }

  #loader(perStatement: number): DataLoader<string, PayloadRow | undefined> {
    return oneByKey(
      this.#meter,
      (ids) => this.#find(ids),
      ({ id }) => id,
      perStatement,
    );
  }

  async #findLengths(ids: readonly string[]): Promise<LengthRow[]> {
    return select(
      this.#em,
      sql<LengthRow>`
      select id, octet_length(payload) as bytes from event where id in (${sql.join(ids)}) ${this.#own()}`,
    );
  }

  async #find(ids: readonly string[]): Promise<PayloadRow[]> {
    return select(
      this.#em,
      sql<PayloadRow>`
      select id, payload from event where id in (${sql.join(ids)}) ${this.#own()}`,
    );
  }

  #own() {
    return sql`and ${isVisibleAccount(sql`event.account_id`, this.#scope)}`;
  }
}

/** Reads of events and their payloads, for one request. */
export class EventReads {
  readonly #em: EntityManager;
  readonly #statements: Statements;
  readonly #scope: Scope;
  readonly #events;
  readonly #payloads;
  readonly #eventsOfAccount;
  readonly #countOfAccount;

  constructor(em: EntityManager, statements: Statements, scope: Scope, meter: Meter) {
    this.#em = em;
    this.#statements = statements;
    this.#scope = scope;
    this.#payloads = new PayloadReads(em, scope, meter);
    this.#events = oneByKey(
      meter,
      (ids) => em.find(Event, { id: { $in: [...ids] } }),
      ({ id }: EventEntity) => id,
    );
    this.#eventsOfAccount = new PageLoaders((page: PageArguments, _filter: undefined) =>
      manyByKey(
        meter,
        (ids) => this.#findIds(this.#inScope(ids), page),
        ({ key }) => key,
        page.first + 1,
      ),
    );
    this.#countOfAccount = oneByKey(
      meter,
      (ids) => this.#count(this.#inScope(ids)),
      ({ key }) => key,
      COUNTS_PER_STATEMENT,
    );
  }

  event(id: string): Promise<EventEntity | undefined> {
    return this.#events.load(id);
  }

  /** The received bytes; `undefined` when the event was deleted meanwhile. @throws DomainError TOO_EXPENSIVE */
  payload(eventId: string): Promise<Buffer | undefined> {
    return this.#payloads.payload(eventId);
  }

  /** Newest first. */
  async eventsOf(accountId: string, page: PageArguments): Promise<Page<EventEntity>> {
    const ids = await this.#eventsOfAccount.load(accountId, page, undefined);
    return { ...ids, rows: await allFound(this.#events, ids.rows) };
  }

  /** @returns `null` when there are more than 10,000. */
  async eventCountOf(accountId: string): Promise<number | null> {
    return exactly((await this.#countOfAccount.load(accountId))?.count);
  }

  /** The mapper's filter does not reach handwritten statements. */
  #inScope(accountIds: readonly string[]): readonly string[] {
    return accountIds.filter((id) => includes(this.#scope, id));
  }

  async #findIds(parentIds: readonly string[], { first, after }: PageArguments): Promise<KeyedId[]> {
    const page = { parentIds, before: after ?? ID_BEYOND_ALL, limit: first + 1, scope: this.#scope };
    return select(this.#em, this.#statements.eventIdsOf(page));
  }

  async #count(accountIds: readonly string[]): Promise<Count[]> {
    if (accountIds.length === 0) {
      return [];
    }
    return select(
      this.#em,
      sql<Count>`
      select a.id as key, (
        select count(*) from (select 1 from event e where e.account_id = a.id limit ${COUNT_LIMIT}) counted
      ) as count
      from account a
      where a.id in (${sql.join(accountIds)}) and ${isVisibleAccount(sql`a.id`, this.#scope)}`,
    );
  }
}
