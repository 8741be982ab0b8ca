import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Client } from 'pg';
import { createTemporaryDatabase, TEST_DATABASE_URL } from './postgresql.ts';
import type { DeliverySeen } from './deliveries.ts';

/** What the secrets in the stored databases are sealed with. */
export const EARLIER_KEY = Buffer.alloc(32, 'version 0.1').toString('base64');
/** Where the destinations were when they were made. */
export const EARLIER_RECEIVER_PORT = 18_099;
/** Leases have run out by then; retries that wait for days, keys and overlaps have not. */
const AGE_MS = 3_600_000;

/** A delivery as version 0.1 has left it, and the path of its destination, which says how that used to answer. */
export interface LeftDelivery extends Omit<DeliverySeen, 'attempts'> {
  readonly path: string;
  readonly eventId: string;
  readonly attempts: readonly Omit<DeliverySeen['attempts'][number], 'durationMs' | 'message'>[];
}

export interface EarlierDatabase {
  /** As `DATABASE_URL` has it. */
  readonly url: string;
  readonly left: readonly LeftDelivery[];
  drop(): Promise<void>;
}

interface Restoring {
  readonly run: (statements: string) => Promise<void>;
  readonly rows: (query: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A time as milliseconds since the Unix epoch. */
  readonly asMs: (column: string) => string;
  readonly later: (column: string, ms: number) => string;
}

/** A database of SQLite, restored from text, whose last event came an hour ago. @param origin of the receiver */
export async function restoreSqlite(version: string, origin: string): Promise<EarlierDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'data-pusher-earlier-'));
  const path = join(folder, 'earlier.db');
  const database = new Database(path);
  const left = await restore(dumpOf(version, 'sqlite', origin), {
    run: async (statements) => void database.exec(statements),
    rows: async (query) => database.prepare(query).all() as Record<string, unknown>[],
    asMs: (column) => column,
    later: (column, ms) => `${column} + ${ms}`,
  });
  database.close();
  return { url: `sqlite:${path}`, left, drop: async () => rmSync(folder, { recursive: true, force: true }) };
}

/** The same on PostgreSQL. */
export async function restorePostgresql(version: string, origin: string): Promise<EarlierDatabase> {
  const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
  const client = new Client({ connectionString: url });
  await client.connect();
  // For its own time a dump has set the search path to nothing.
  const dump = `${dumpOf(version, 'postgresql', origin)};\nreset search_path;`;
  const left = await restore(dump, {
    run: async (statements) => void (await client.query(statements)),
    rows: async (query) => (await client.query<Record<string, unknown>>(query)).rows,
    asMs: (column) => `round(extract(epoch from ${column}) * 1000)::bigint`,
    later: (column, ms) => `${column} + ${ms} * interval '1 ms'`,
  });
  await client.end();
  return { url, left, drop };
}

function dumpOf(version: string, database: string, origin: string): string {
  const text = readFileSync(new URL(`../fixtures/version-${version}.${database}.sql`, import.meta.url), 'utf8');
  return text.replaceAll(`http://127.0.0.1:${EARLIER_RECEIVER_PORT}`, origin);
}

const TIMES: Readonly<Record<string, readonly string[]>> = {
  account: ['created_at', 'updated_at'],
  destination: ['created_at', 'updated_at', 'previous_secret_until', 'disabled_at'],
  event: ['received_at'],
  delivery: ['due_at', 'completed_at'],
  attempt: ['started_at'],
};

async function restore(dump: string, { run, rows, asMs, later }: Restoring): Promise<LeftDelivery[]> {
  await run(dump);
  const [last] = await rows(`select ${asMs('max(received_at)')} as ms from event`);
  const shift = Date.now() - AGE_MS - Number(last?.['ms']);
  for (const [table, columns] of Object.entries(TIMES)) {
    await run(`update ${table} set ${columns.map((column) => `${column} = ${later(column, shift)}`).join(', ')}`);
  }
  const deliveries = await rows(`
    select d.id, event_id, url, status, attempt_count, ${asMs('due_at')} as due_ms, ${asMs('completed_at')} as completed_ms
    from delivery d join destination o on o.id = destination_id order by d.id`);
  const attempts = await rows(
    'select delivery_id, number, status_code, error, response_body from attempt order by number',
  );
  return deliveries.map((row) => ({
    id: String(row['id']),
    eventId: String(row['event_id']),
    path: new URL(String(row['url'])).pathname,
    status: row['status'] as LeftDelivery['status'],
    attemptCount: Number(row['attempt_count']),
    nextAttemptAt: isoTime(row['due_ms']),
    completedAt: isoTime(row['completed_ms']),
    attempts: attempts
      .filter(({ delivery_id: id }) => id === row['id'])
      .map(({ number, status_code: code, error, response_body: body }) => ({
        number: number as number,
        statusCode: code as number | null,
        error: error as string | null,
        responseBody: (body as Buffer | null)?.toString() ?? null,
      })),
  }));
}

function isoTime(ms: unknown): string | null {
  return ms === null ? null : new Date(Number(ms)).toISOString();
}
