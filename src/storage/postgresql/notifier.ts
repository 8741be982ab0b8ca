import { type Kysely, sql } from 'kysely';
import { Client } from 'pg';
import { isReceivedId } from '../../core/ids.ts';
import type { TicketLane } from '../../core/delivery.ts';
import type { Notifier, Wake } from '../../core/notifier.ts';

const CHANNEL = 'data_pusher_due';
const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** PostgreSQL refuses 8,000 bytes and more. */
const PAYLOAD_BYTES_MAX = 7_999;

/**
 * NOTIFY on any connection of the pool, LISTEN on one of its own. A lost notification costs the time until the next
 * sweep. So failures are not reported here: the store's statements report that the database is away.
 */
export class PostgresqlNotifier implements Notifier {
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

  get isListening(): boolean {
    return this.#isListening;
  }

  /** A notification has room for 99 lanes. */
  async notify(lanes: readonly TicketLane[] = []): Promise<void> {
    try {
      await sql`select pg_notify(${CHANNEL}, ${encode(lanes)})`.execute(this.#database);
    } catch {
      // The sweeper finds what is due.
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
    // The driver reports the end of a connection more than once. There must be one reconnection for all of that.
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
      // Something may have become due before.
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

/** Pairs of destination and account; empty if they do not fit. */
function encode(lanes: readonly TicketLane[]): string {
  const payload = JSON.stringify(lanes.map(({ destinationId, accountId }) => [destinationId, accountId]));
  return lanes.length > 0 && payload.length <= PAYLOAD_BYTES_MAX ? payload : '';
}

/** Other programs can notify on the channel, and later versions may name more. Unknown payloads mean: look everywhere. */
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
    throw new TypeError('This is not a pair of ids.');
  }
  return { destinationId, accountId };
}
