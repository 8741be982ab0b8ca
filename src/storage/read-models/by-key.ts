import DataLoader from 'dataloader';
import type { Meter } from './meter.ts';

/** How many children a parent has; PostgreSQL's driver answers counts as text. */
export interface Count {
  readonly key: string;
  readonly count: number | string;
}

/** Up to here lists are counted; beyond, nobody waits for it. */
const COUNT_MAX = 10_000;
/** What a count is cut off at. */
export const COUNT_LIMIT = COUNT_MAX + 1;
/** Each may read as many rows as are counted. */
export const COUNTS_PER_STATEMENT = 20;

/** @returns `null` for more than are counted. */
export function exactly(count: number | string | undefined): number | null {
  return Number(count ?? 0) > COUNT_MAX ? null : Number(count ?? 0);
}

/** Rows that one statement may answer: what comes of them is made in one turn of the event loop. */
const ROWS_PER_STATEMENT = 2_000;
const KEYS_PER_STATEMENT = 100;

type Find<Row> = (keys: readonly string[]) => Promise<readonly Row[]>;

/** Answers the look-ups of one turn by few statements; the answers are kept for the rest of the request. */
export function oneByKey<Row extends object>(
  meter: Meter,
  find: Find<Row>,
  keyOf: (row: Row) => string,
  maxBatchSize = KEYS_PER_STATEMENT,
): DataLoader<string, Row | undefined> {
  return new DataLoader(
    async (keys) => {
      const byKey = new Map((await meter.read(() => find(keys))).map((row) => [keyOf(row), row]));
      return keys.map((key) => byKey.get(key));
    },
    { maxBatchSize, batchScheduleFn: (run) => meter.batch(run) },
  );
}

/** The same for lists of up to so many rows; the rows of each list stay in the order the statement gave them. */
export function manyByKey<Row extends object>(
  meter: Meter,
  find: Find<Row>,
  keyOf: (row: Row) => string,
  rowsPerKey: number,
): DataLoader<string, readonly Row[]> {
  const fitting = Math.max(1, Math.floor(ROWS_PER_STATEMENT / rowsPerKey));
  return new DataLoader(
    async (keys) => {
      const byKey = Map.groupBy(await meter.read(() => find(keys)), keyOf);
      return keys.map((key) => byKey.get(key) ?? []);
    },
    { maxBatchSize: Math.min(KEYS_PER_STATEMENT, fitting), batchScheduleFn: (run) => meter.batch(run) },
  );
}

/** The rows of these ids, in their order; one that was deleted meanwhile is left out. */
export async function allFound<Row>(
  loader: DataLoader<string, Row | undefined>,
  ids: readonly { readonly id: string }[],
): Promise<Row[]> {
  const rows = await Promise.all(ids.map(({ id }) => loader.load(id)));
  return rows.filter((row) => row !== undefined);
}
