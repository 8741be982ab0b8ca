import { type Kysely, sql } from 'kysely';
import { Client } from 'pg';
import { isReceivedId } from '../../core/ids.ts';
import type { TicketLane } from '../../core/delivery.ts';

const CHANNEL = 'data_pusher_due';
const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** PostgreSQL refuses 8,000 bytes and more. */
const PAYLOAD_BYTES_MAX = 7_999;

/** Without lanes: look everywhere. */
type Wake = (lanes?: readonly TicketLane[]) => void;

/**
 * NOTIFY on any connection of the pool, LISTEN on one of its own. A notification that is lost costs the time until
 * the next sweep, so failures here are nobody's business: the store's own say that the database is away.
 */
export class PostgresqlNotifier {
  readonly #database: Kysely<unknown>;
  readonly #url: string;
  #client: Client | undefined;
  #reconnect: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isListening = false;

  constructor(database: Kysely<unknown>, url: string) {
    this.#database = database;
    this.#url = url;
  }

  /** True while notifications are heard. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** @param lanes where to look; without, or where a ring has no room for them (99 have), everywhere. */
  async notify(lanes: readonly TicketLane[] = []): Promise<void> {
    try {
      await sql`select pg_notify(${CHANNEL}, ${encode(lanes)})`.execute(this.#database);
    } catch {
      // The sweeper finds what nobody was told of.
    }
  }

  async listen(wake: Wake): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'data-pusher notifier',
    });
    this.#client = client;
    // The end of a connection is told more than once; each would otherwise be followed by a connection of its own.
    const retry = (): void => {
      if (!this.#isStopped && this.#client === client) {
        this.#client = undefined;
        this.#isListening = false;
        this.#reconnect = setTimeout(() => void this.listen(wake), RECONNECT_MS);
        void client.end().catch(() => {});
      }
    };
    client
      .on('notification', ({ payload }) => wake(decode(payload)))
      .on('error', retry)
      .once('end', retry);
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#isListening = !this.#isStopped;
      // What became due while nobody listened.
      wake();
    } catch {
      retry();
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isListening = false;
    clearTimeout(this.#reconnect);
    await this.#client?.end().catch(() => {});
  }
}

/** Pairs of destination and account; nothing where they do not fit. */
function encode(lanes: readonly TicketLane[]): string {
  const payload = JSON.stringify(lanes.map(({ destinationId, accountId }) => [destinationId, accountId]));
  return lanes.length > 0 && payload.length <= PAYLOAD_BYTES_MAX ? payload : '';
}

/** Whoever may use the database may ring. What cannot be understood, of a later version perhaps, means everywhere. */
function decode(payload: string | undefined): readonly TicketLane[] | undefined {
  try {
    const pairs: unknown = JSON.parse(payload ?? '');
    return Array.isArray(pairs) && pairs.length > 0 ? pairs.map(decodePair) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws TypeError */
function decodePair(pair: unknown): TicketLane {
  const [destinationId, accountId] = Array.isArray(pair) ? (pair as unknown[]) : [];
  if (!isReceivedId(destinationId) || !isReceivedId(accountId)) {
    throw new TypeError('This is no pair of ids.');
  }
  return { destinationId, accountId };
}
