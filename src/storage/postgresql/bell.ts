import { type Kysely, sql } from 'kysely';
import { Client } from 'pg';

const CHANNEL = 'data_pusher_due';
const RECONNECT_MS = 1_000;

/**
 * NOTIFY on any connection of the pool, LISTEN on one of its own. A ring that is lost costs the time until
 * the next sweep, so failures here are nobody's business: the store's own say that the database is away.
 */
export class PostgresqlBell {
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

  /** True while a ring is heard. */
  get isListening(): boolean {
    return this.#isListening;
  }

  async ring(): Promise<void> {
    try {
      await sql`select pg_notify(${CHANNEL}, '')`.execute(this.#database);
    } catch {
      // The sweeper finds what nobody was told of.
    }
  }

  async listen(wake: () => void): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      keepAlive: true,
      application_name: 'data-pusher bell',
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
    client.on('notification', wake).on('error', retry).once('end', retry);
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#isListening = true;
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
