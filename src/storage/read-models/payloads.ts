import type DataLoader from 'dataloader';
import { sql } from 'kysely';
import type { Scope } from '../../core/scope.ts';
import type { EntityManager } from '../storage.ts';
import { isLivingAccount } from '../living.ts';
import { oneByKey } from './by-key.ts';
import { select } from './select.ts';
import type { Meter } from './meter.ts';

/** Payloads up to here share a statement. */
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

/** The payloads of events. Lengths are asked for first: what the request may not read is never taken from the disk. */
export class PayloadReads {
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
    return sql`and ${isLivingAccount(sql`event.account_id`, this.#scope)}`;
  }
}
