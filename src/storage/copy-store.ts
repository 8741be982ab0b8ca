import type { Kysely } from 'kysely';
import { EVERYTHING } from '../core/scope.ts';
import {
  countPresent,
  insertMissing,
  selectBatch,
  selectColumns,
  selectTally,
  type Row,
  type Table,
} from './copy-statements.ts';
import type { Storage } from './storage.ts';

/** The copy cannot be made. The message is one line, for the operator. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
}

/** How a table stands on both sides after its turn. */
export interface CopiedTable {
  readonly name: string;
  readonly inSource: number;
  readonly inTarget: number;
  /** The counts are equal, and no row has changed on one side since it was copied. */
  readonly isSame: boolean;
}

export interface CopyOptions {
  readonly onTable: (table: CopiedTable) => void;
}

const UPDATED = {
  sqlite: 'updated_at % 1000003',
  postgresql: '(extract(epoch from updated_at) * 1000)::bigint % 1000003',
};
const PROGRESS = 'attempt_count * 1000 + length(status)';
const WORK = 'attempt_count * 1000 + round_start * 10 + lost_count';
const UNCHANGING = { sqlite: '0', postgresql: '0' };

/** What is referred to comes before what refers to it. */
const TABLES: readonly Table[] = [
  { name: 'account', key: ['id'], state: UPDATED },
  { name: 'destination', key: ['id'], state: UPDATED },
  { name: 'event', key: ['id'], bytes: 'payload', state: UNCHANGING },
  { name: 'delivery', key: ['id'], state: { sqlite: PROGRESS, postgresql: PROGRESS } },
  { name: 'queue', key: ['delivery_id'], state: { sqlite: WORK, postgresql: WORK } },
  { name: 'attempt', key: ['delivery_id', 'number'], bytes: 'response_body', state: UNCHANGING },
];

const UNIQUE_VIOLATION = '23505';

/**
 * Copies every row of a SQLite store to a PostgreSQL store, in the order of their keys and a batch at a time.
 * A batch is one transaction, and rows that are there already stay as they are: a copy that was cut off is
 * made again, and passes over what it has.
 *
 * Whoever held leases on the source is dead, because it has one owner: what they held becomes due.
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
    const state = await compare(table, from, to);
    onTable(state);
    copied.push(state);
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
