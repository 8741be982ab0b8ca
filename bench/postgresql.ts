import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';

const QUIET_WITHIN_MS = 15_000;

/** An empty database of its own on a server that is there already. */
export class TemporaryDatabase {
  readonly url: string;
  readonly #server: string;
  readonly #name = `bench_${crypto.randomUUID().replaceAll('-', '')}`;

  private constructor(server: string) {
    this.#server = server;
    const url = new URL(server);
    url.pathname = `/${this.#name}`;
    this.url = url.href;
  }

  static async create(server: string): Promise<TemporaryDatabase> {
    const database = new TemporaryDatabase(server);
    await database.#ask(`create database ${database.#name}`);
    return database;
  }

  async bytes(): Promise<number> {
    const [row] = await this.#ask<{ bytes: string }>('select pg_database_size($1) as bytes', [this.#name]);
    return Number(row?.bytes);
  }

  /** Runs a statement in this database, past the server under test. */
  execute(statement: string): Promise<Record<string, unknown>[]> {
    return ask(this.url, statement);
  }

  /** Whether its tables are vacuumed and analysed by themselves, as they are by default. */
  async setAutovacuum(isOn: boolean): Promise<void> {
    const tables = await ask<{ name: string }>(
      this.url,
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = current_schema()",
    );
    for (const { name } of tables) {
      await this.execute(
        `alter table ${name} ${isOn ? 'reset (autovacuum_enabled)' : 'set (autovacuum_enabled = false)'}`,
      );
    }
  }

  /**
   * How many transactions have been committed here. A server process reports what it counted once in a while,
   * and at its end; so this waits until nobody is connected any more.
   */
  async commits(): Promise<number> {
    for (const deadline = Date.now() + QUIET_WITHIN_MS; (await this.#connections()) > 0; await delay(50)) {
      if (Date.now() > deadline) {
        throw new Error('The database is still in use.');
      }
    }
    const [row] = await this.#ask<{ commits: string }>(
      'select xact_commit as commits from pg_stat_database where datname = $1',
      [this.#name],
    );
    return Number(row?.commits);
  }

  async drop(): Promise<void> {
    await this.#ask(`drop database if exists ${this.#name} with (force)`);
  }

  async #connections(): Promise<number> {
    const [row] = await this.#ask<{ count: string }>('select count(*) from pg_stat_activity where datname = $1', [
      this.#name,
    ]);
    return Number(row?.count);
  }

  #ask<Row>(statement: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return ask(this.#server, statement, parameters);
  }
}

async function ask<Row>(url: string, statement: string, parameters: readonly unknown[] = []): Promise<Row[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(statement, [...parameters])).rows as Row[];
  } finally {
    await client.end();
  }
}
