import { type RawBuilder, sql } from 'kysely';
import { PackedBytes } from './packed-bytes.ts';

export interface Table {
  readonly name: string;
  readonly key: readonly string[];
  /** A column of bytes that may be large. */
  readonly bytes?: string;
  /** A number for each row, which another state of the row is likely to change; in the words of each database. */
  readonly state: Readonly<Record<'sqlite' | 'postgresql', string>>;
}

export interface Column {
  readonly name: string;
  readonly type: string;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Tally {
  readonly count: number | string;
  readonly state: string;
}

const ROWS_MAX = 500;
/** A batch has more bytes only when a single row has. */
const BYTES_MAX = 4 * 1_048_576;

/** What follows the row `last` on SQLite. The lengths are added up before any bytes are read. */
export function selectBatch({ name, key, bytes }: Table, last: Row | undefined): RawBuilder<Row> {
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

/** On PostgreSQL. Asked for, so that what a later migration adds is copied without a change here. */
export function selectColumns({ name }: Table): RawBuilder<Column> {
  return sql<Column>`
    select column_name as name, data_type as type from information_schema.columns
    where table_schema = current_schema() and table_name = ${name} order by ordinal_position`;
}

/** How many of the rows PostgreSQL has already. */
export function countPresent({ name, key }: Table, columns: readonly Column[], rows: readonly Row[]) {
  const keys = columns.filter((column) => key.includes(column.name));
  const list = JSON.stringify(rows.map((row) => Object.fromEntries(key.map((column) => [column, row[column]]))));
  return sql<{ count: string }>`
    select count(*) from ${sql.table(name)} join ${recordset(list, keys)} using (${names(keys)})`;
}

/** One statement, and so one transaction. */
export function insertMissing({ name, key }: Table, columns: readonly Column[], rows: readonly Row[]) {
  const bytes = new PackedBytes();
  const list = JSON.stringify(rows.map((row) => carried(row, columns, bytes)));
  const packed = bytes.toBuffer();
  return sql`
    insert into ${sql.table(name)} (${names(columns)})
    select ${sql.join(columns.map((column) => unpacked(column, packed)))} from ${recordset(list, columns)}
    on conflict (${sql.join(key.map((column) => sql.ref(column)))}) do nothing`;
}

export function selectTally({ name, state }: Table, dialect: keyof Table['state']) {
  return sql<Tally>`
    select count(*) as count, cast(coalesce(sum(${sql.raw(state[dialect])}), 0) as text) as state from ${sql.table(name)}`;
}

/** SQLite has times as milliseconds and JSON as text; bytes go beside the rows. */
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
