import { type Kysely, sql } from 'kysely';
import { ORDINAL_DIGITS } from '../core/ids.ts';
import type { Ticket } from '../core/ticket.ts';
import { Batch, type BatchKind } from './batch.ts';
import type { CommitLine } from './commit-line.ts';
import { PackedBytes } from './packed-bytes.ts';

export interface NewEvent {
  readonly id: string;
  readonly token: string;
  readonly payload: Buffer;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
}

/** The fan-out of a stored event: one ticket for each delivery. */
export interface AcceptedEvent {
  readonly tickets: readonly Ticket[];
}

type FanOutRow = Ticket & { readonly eventId: string };

const ID_STEM_CHARACTERS = 36 - ORDINAL_DIGITS;

/** Stores events together with their fan-out. */
export class EventStore {
  readonly #batch: Batch<NewEvent, AcceptedEvent | undefined>;
  readonly #database: Kysely<unknown>;

  constructor(line: CommitLine, database: Kysely<unknown>) {
    this.#database = database;
    this.#batch = new Batch(line, EVENTS);
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

const EVENTS: BatchKind<NewEvent, AcceptedEvent | undefined> = {
  statements(events) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      events.map(({ id, token, payload, receivedAt }) => [id, token, receivedAt, ...payloads.add(payload)]),
    );
    // `cross join` fixes the order of the loops: the batch outside, each look-up by its index inside.
    return [
      sql`
        insert into event (id, account_id, payload, received_at)
        select e.value ->> 0, a.id, substr(${payloads.toBuffer()}, e.value ->> 3, e.value ->> 4), e.value ->> 2
        from json_each(${rows}) e cross join account a on a.app_secret_token = e.value ->> 1`,
      sql`
        insert into delivery (id, event_id, destination_id, status, attempt_count, round_start, due_at)
        select substr(e.value ->> 0, 1, ${sql.lit(ID_STEM_CHARACTERS)})
                 || printf('%03x', row_number() over (partition by e.key order by d.id)),
               e.value ->> 0, d.id, 'PENDING', 0, 0, e.value ->> 2
        from json_each(${rows}) e
          cross join account a on a.app_secret_token = e.value ->> 1
          cross join destination d on d.account_id = a.id
        returning id as "deliveryId", destination_id as "destinationId", event_id as "eventId", attempt_count as "attempt"`,
      // The exceptions, and not the rule: nothing has to be answered for an event that was stored.
      sql`
        select key from json_each(${rows}) e
        where not exists (select 1 from account where app_secret_token = e.value ->> 1)`,
    ];
  },

  results(events, [, fanOut = [], unknown = []]) {
    const fanOuts = Map.groupBy(fanOut as FanOutRow[], ({ eventId }) => eventId);
    const refused = new Set((unknown as { key: number }[]).map(({ key }) => key));
    return events.map(({ id }, index) =>
      refused.has(index)
        ? undefined
        : {
            tickets: (fanOuts.get(id) ?? []).map(({ deliveryId, destinationId, attempt }) => ({
              deliveryId,
              destinationId,
              attempt,
            })),
          },
    );
  },
};
