import { type Kysely, type RawBuilder, sql } from 'kysely';
import { EVERYTHING } from '../core/scope.ts';
import type { Storage } from './storage.ts';
import { PackedBytes } from './typed-statement.ts';

/** The copy cannot be made. The message is one line, for the operator. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
}

/** The rows of a table on both sides after its copy. */
export interface CopiedTable {
  readonly name: string;
  readonly inSource: number;
  readonly inTarget: number;
  /** The counts are equal, and no row seems to have changed on one side since it was copied. */
  readonly isSame: boolean;
}

export interface CopyOptions {
  readonly onTable: (table: CopiedTable) => void;
}

/** See `Table.state`. */
const UPDATED = {
  sqlite: 'updated_at % 1000003',
  postgresql: '(extract(epoch from updated_at) * 1000)::bigint % 1000003',
};
const PROGRESS = 'attempt_count * 1000 + length(status)';
const WORK = 'attempt_count * 1000 + round_start * 10 + lost_count';
const UNCHANGING = { sqlite: '0', postgresql: '0' };

/** Parents come before children. */
const TABLES: readonly Table[] = [
  { name: 'account', key: ['id'], state: UPDATED },
  { name: 'destination', key: ['id'], state: UPDATED },
  { name: 'event', key: ['id'], bytes: 'payload', state: UNCHANGING },
  { name: 'removed_route', key: ['event_id', 'destination_id'], state: UNCHANGING },
  { name: 'delivery', key: ['id'], state: { sqlite: PROGRESS, postgresql: PROGRESS } },
  { name: 'queue', key: ['delivery_id'], state: { sqlite: WORK, postgresql: WORK } },
  { name: 'attempt', key: ['delivery_id', 'number'], bytes: 'response_body', state: UNCHANGING },
];

const UNIQUE_VIOLATION = '23505';

/**
 * Copies every row of a SQLite store to a PostgreSQL store, in the order of the keys and a batch at a time. A batch is
 * one transaction, and rows that exist already stay as they are: an interrupted copy can be run again.
 *
 * The source has one owner, so the workers of its leases are dead: leased deliveries become due.
 *
 * @throws CopyError when the target has data that contradicts the source
 */
export async function copyStore(source: Storage, target: Storage, { onTable }: CopyOptions): Promise<CopiedTable[]> {
  await source.deliveries.recoverLeases();
  const from: Kysely<unknown> = source.fork(EVERYTHING).getKysely();
  const to: Kysely<unknown> = target.fork(EVERYTHING).getKysely();
  const copied: CopiedTable[] = [];
  for (const table of TABLES) {
    await copyTable(table, from, to);
    const compared = await compare(table, from, to);
    onTable(compared);
    copied.push(compared);
  }
  return copied;
}

async function copyTable(table: Table, from: Kysely<unknown>, to: Kysely<unknown>): Promise<void> {
  const { rows: columns } = await selectColumns(table).execute(to);
  for (let last: Row | undefined; ; ) {
    const { rows } = await selectBatch(table, last).execute(from);
    last = rows.at(-1);
    if (last === undefined) {
      return;
    }
    const { rows: present } = await countPresent(table, columns, rows).execute(to);
    if (Number(present[0]?.count) < rows.length) {
      await insertMissing(table, columns, rows)
        .execute(to)
        .catch((error: unknown) => {
          throw isContradiction(error)
            ? new CopyError(`The target has other data in its table "${table.name}", which the source contradicts.`, {
                cause: error,
              })
            : error;
        });
    }
  }
}

async function compare(table: Table, from: Kysely<unknown>, to: Kysely<unknown>): Promise<CopiedTable> {
  const [source] = (await selectTally(table, 'sqlite').execute(from)).rows;
  const [target] = (await selectTally(table, 'postgresql').execute(to)).rows;
  const [inSource, inTarget] = [Number(source?.count), Number(target?.count)];
  return { name: table.name, inSource, inTarget, isSame: inSource === inTarget && source?.state === target?.state };
}

function isContradiction(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION;
}

interface Table {
  readonly name: string;
  readonly key: readonly string[];
  /** A column of bytes that may be large. */
  readonly bytes?: string;
  /** SQL of each database for a number that probably differs between two states of a row. */
  readonly state: Readonly<Record<'sqlite' | 'postgresql', string>>;
}

interface Column {
  readonly name: string;
  readonly type: string;
}

type Row = Readonly<Record<string, unknown>>;

interface Tally {
  readonly count: number | string;
  readonly state: string;
}

const ROWS_MAX = 500;
/** Of a batch; a single row may be larger. */
const BYTES_MAX = 4 * 1_048_576;

/** The rows after `last` on SQLite. The lengths are added up before any bytes are read. */
function selectBatch({ name, key, bytes }: Table, last: Row | undefined): RawBuilder<Row> {
  const keys = sql.join(key.map((column) => sql.ref(column)));
  const length = bytes === undefined ? sql`0` : sql`coalesce(length(${sql.ref(bytes)}), 0)`;
  const after = last === undefined ? sql`true` : sql`(${keys}) > (${sql.join(key.map((column) => last[column]))})`;
  return sql<Row>`
    with batch as (
      select ${keys}, sum(length) over (order by ${keys}) - length as bytes_before
      from (select ${keys}, ${length} as length from ${sql.table(name)} where ${after} order by ${keys} limit ${ROWS_MAX})
    )
    select t.* from batch cross join ${sql.table(name)} t using (${keys})
    where bytes_before < ${BYTES_MAX} order by ${keys}`;
}

/** PostgreSQL is asked for its columns, so the copy includes those that later migrations add. */
function selectColumns({ name }: Table): RawBuilder<Column> {
  return sql<Column>`
    select column_name as name, data_type as type from information_schema.columns
    where table_schema = current_schema() and table_name = ${name} order by ordinal_position`;
}

/** Counts the rows that PostgreSQL has already. */
function countPresent({ name, key }: Table, columns: readonly Column[], rows: readonly Row[]) {
  const keys = columns.filter((column) => key.includes(column.name));
  const list = JSON.stringify(rows.map((row) => Object.fromEntries(key.map((column) => [column, row[column]]))));
  return sql<{ count: string }>`
    select count(*) from ${sql.table(name)} join ${recordset(list, keys)} using (${names(keys)})`;
}

/** One statement, and so one transaction. */
function insertMissing({ name, key }: Table, columns: readonly Column[], rows: readonly Row[]) {
  const bytes = new PackedBytes();
  const list = JSON.stringify(rows.map((row) => carried(row, columns, bytes)));
  const packed = bytes.toBuffer();
  return sql`
    insert into ${sql.table(name)} (${names(columns)})
    select ${sql.join(columns.map((column) => unpacked(column, packed)))} from ${recordset(list, columns)}
    on conflict (${sql.join(key.map((column) => sql.ref(column)))}) do nothing`;
}

function selectTally({ name, state }: Table, dialect: keyof Table['state']) {
  return sql<Tally>`
    select count(*) as count, cast(coalesce(sum(${sql.raw(state[dialect])}), 0) as text) as state from ${sql.table(name)}`;
}

/** SQLite has times as milliseconds and JSON as text. Bytes are packed beside the rows. */
function carried(row: Row, columns: readonly Column[], bytes: PackedBytes): Row {
  const entries = columns.map(({ name }) => {
    const value = row[name];
    return [name, Buffer.isBuffer(value) ? bytes.add(value) : value];
  });
  return Object.fromEntries(entries) as Row;
}

const CARRIERS: Readonly<Record<string, string>> = {
  bytea: 'int[]',
  jsonb: 'text',
  'timestamp with time zone': 'bigint',
};

function recordset(list: string, columns: readonly Column[]) {
  const carriers = columns.map(({ name, type }) => sql`${sql.ref(name)} ${sql.raw(CARRIERS[type] ?? type)}`);
  return sql`json_to_recordset(${list}::json) as r (${sql.join(carriers)})`;
}

function unpacked({ name, type }: Column, packed: Buffer) {
  const value = sql.ref(`r.${name}`);
  switch (type) {
    case 'bytea':
      return sql`substring(${packed}::bytea from ${value}[1] for ${value}[2])`;
    case 'jsonb':
      return sql`${value}::jsonb`;
    case 'timestamp with time zone':
      return sql`to_timestamp(${value} / 1000.0)`;
    default:
      return value;
  }
}

function names(columns: readonly Column[]) {
  return sql.join(columns.map(({ name }) => sql.ref(name)));
}
