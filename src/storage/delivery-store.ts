import { type Kysely, sql } from 'kysely';
import type { AttemptOutcome, DeliveryState } from '../core/delivery.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Ticket } from '../core/ticket.ts';
import { Batch } from './batch.ts';
import type { CommitLine } from './commit-line.ts';
import { type ClaimRequest, CLAIMS } from './claim.ts';
import { RECORDS } from './record.ts';

export interface ClaimedDelivery extends RequestSource {
  readonly destinationId: string;
  readonly eventId: string;
  /** The attempt that this claim begins; counts from 1. */
  readonly attempt: number;
  /** The same, counted from the last manual retry: the place in the retry schedule. */
  readonly attemptInRound: number;
  /** Milliseconds since the Unix epoch; after that the delivery is due again. */
  readonly leasedUntil: number;
}

export interface AttemptRecord {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  readonly state: DeliveryState;
}

/** The durable truth about deliveries; whatever queues and workers hold in memory can be lost. */
export class DeliveryStore {
  readonly #line: CommitLine;
  readonly #database: Kysely<unknown>;
  readonly #claims: Batch<ClaimRequest, ClaimedDelivery | undefined>;
  readonly #records: Batch<AttemptRecord, boolean>;

  constructor(line: CommitLine, database: Kysely<unknown>) {
    this.#line = line;
    this.#database = database;
    this.#claims = new Batch(line, CLAIMS);
    this.#records = new Batch(line, RECORDS);
  }

  /**
   * @param leasedUntil milliseconds since the Unix epoch
   * @returns `undefined` when the delivery is finished, deleted, or somebody else's.
   */
  claim(ticket: Ticket, leasedUntil: number): Promise<ClaimedDelivery | undefined> {
    return this.#claims.add({ ticket, leasedUntil });
  }

  /** @returns false when the delivery was deleted, or a newer attempt has begun; nothing is recorded then. */
  record(attempt: AttemptRecord): Promise<boolean> {
    return this.#records.add(attempt);
  }

  /** Gives back claims whose request was never sent: they are due at once, and the attempt does not count. */
  async release(claims: readonly ClaimedDelivery[], now: number): Promise<void> {
    const rows = JSON.stringify(claims.map(({ deliveryId, attempt }) => [deliveryId, attempt]));
    await this.#line.write(() => [
      sql`
        update delivery set due_at = ${now}, attempt_count = attempt_count - 1
        from json_each(${rows}) c
        where delivery.id = c.value ->> 0 and attempt_count = c.value ->> 1 and status = 'PENDING'`,
    ]);
  }

  /**
   * Makes every leased delivery due at once. Only for a process that starts as the sole owner of the
   * database, when whoever held the leases must be dead. An attempt without a record is how a lease is told
   * from a retry that waits for its time.
   */
  async recoverLeases(now: number): Promise<void> {
    await this.#line.write(() => [
      sql`
        update delivery set due_at = ${now}
        where status = 'PENDING' and due_at > ${now} and not exists (
          select 1 from attempt where delivery_id = delivery.id and number = attempt_count
        )`,
    ]);
  }

  /** The oldest due deliveries of one destination. */
  async dueOf(destinationId: string, now: number, limit: number): Promise<Ticket[]> {
    const { rows } = await sql<Ticket>`
      select id as "deliveryId", destination_id as "destinationId", attempt_count as "attempt" from delivery
      where destination_id = ${destinationId} and status = 'PENDING' and due_at <= ${now}
      order by due_at limit ${limit}`.execute(this.#database);
    return rows;
  }

  /**
   * The oldest due deliveries of every destination, so many of each: a destination with a million of them
   * hides nobody else's. Hops from destination to destination by the index, without reading what lies between.
   */
  async dueOfEach(now: number, limitPerDestination: number): Promise<Ticket[]> {
    const { rows } = await sql<Ticket>`
      with recursive waiting (destination_id) as (
        select min(destination_id) from delivery where status = 'PENDING'
        union all
        select (select min(destination_id) from delivery
                where status = 'PENDING' and destination_id > waiting.destination_id)
        from waiting where waiting.destination_id is not null
      )
      select d.id as "deliveryId", d.destination_id as "destinationId", d.attempt_count as "attempt"
      from waiting w cross join delivery d on d.id in (
        select x.id from delivery x
        where x.destination_id = w.destination_id and x.status = 'PENDING' and x.due_at <= ${now}
        order by x.due_at limit ${limitPerDestination}
      )
      where w.destination_id is not null`.execute(this.#database);
    return rows;
  }
}
