import Database from 'better-sqlite3';
import { Client } from 'pg';

/** A second connection to an application's database: what a backup, a shell or an accident is to the server. */
export interface Intruder {
  execute(statement: string): Promise<void>;
  rowCount(table: string): Promise<number>;
  /** For what waits: everything is due so much earlier. */
  letPass(ms: number): Promise<void>;
  /** Until `unlock`, nobody else can write. */
  lock(): Promise<void>;
  unlock(): Promise<void>;
  close(): Promise<void>;
}

export function intrudeSqlite(path: string): Intruder {
  const database = new Database(path);
  return {
    execute: async (statement) => void database.exec(statement),
    rowCount: async (table) => database.prepare(`select count(*) from ${table}`).pluck().get() as number,
    letPass: async (ms) => void database.prepare('update queue set due_at = due_at - ?').run(ms),
    lock: async () => void database.exec('begin immediate'),
    unlock: async () => void database.exec('rollback'),
    close: async () => void database.close(),
  };
}

export async function intrudePostgresql(url: string): Promise<Intruder> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return {
    execute: async (statement) => void (await client.query(statement)),
    rowCount: async (table) => (await client.query(`select count(*)::int as n from ${table}`)).rows[0].n,
    letPass: async (ms) => void (await client.query(`update queue set due_at = due_at - interval '${ms} ms'`)),
    lock: async () => void (await client.query('begin; lock table account in access exclusive mode')),
    unlock: async () => void (await client.query('rollback')),
    close: () => client.end(),
  };
}
