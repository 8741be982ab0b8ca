import type { RawBuilder } from 'kysely';
import DataLoader from 'dataloader';
import type { EntityManager } from '@mikro-orm/sql';

/** Bounds how much one request may read. All its reads go through it. */
export interface Meter {
  /** Runs one statement, after the request's earlier ones. @throws DomainError when the request may read no more. */
  read<Row extends object>(statement: () => Promise<readonly Row[]>): Promise<readonly Row[]>;
  /** Announces so many bytes before they are read. @throws DomainError when the request may not read as many. */
  expect(bytes: number): void;
  /** Runs it when all look-ups of this turn of the event loop are known. */
  batch(run: () => void): void;
}

/** For the program itself. */
export const UNMETERED: Meter = {
  read: (statement) => statement(),
  expect: () => undefined,
  batch: (run) => void setImmediate(run),
};

/** Runs a handwritten statement, and writes it to the mapper's log. */
export async function select<Row>(em: EntityManager, statement: RawBuilder<Row>): Promise<Row[]> {
  const database = em.getKysely();
  const log = em.config.getLogger();
  if (log.isEnabled('query')) {
    log.log('query', statement.compile(database).sql);
  }
  return (await statement.execute(database)).rows;
}

/** One page of a list. It begins at a key and not at an offset, which new and deleted rows would shift. */
export interface PageArguments {
  /** From 0 to `PAGE_MAX`. */
  readonly first: number;
  /** The id before the page, in the list's own order. */
  readonly after: string | undefined;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

export const PAGE_MAX = 100;

/** The beginning of a list that runs down from the newest id. */
export const ID_BEYOND_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** @param rows one more than the page has, if there are more */
export function toPage<Row>(rows: readonly Row[], { first, after }: PageArguments): Page<Row> {
  return { rows: rows.slice(0, first), hasNextPage: rows.length > first, hasPreviousPage: after !== undefined };
}

/**
 * Nested pages: the same page of several parents. One statement reads it for all parents of a query, so there is one
 * loader for each combination of page arguments and filter.
 */
export class PageLoaders<Row, Filter> {
  readonly #create: (page: PageArguments, filter: Filter) => DataLoader<string, readonly Row[]>;
  readonly #loaders = new Map<string, DataLoader<string, readonly Row[]>>();

  constructor(create: (page: PageArguments, filter: Filter) => DataLoader<string, readonly Row[]>) {
    this.#create = create;
  }

  async load(parentId: string, page: PageArguments, filter: Filter): Promise<Page<Row>> {
    const key = JSON.stringify([page.first, page.after, filter]);
    const loader = this.#loaders.get(key) ?? this.#create(page, filter);
    this.#loaders.set(key, loader);
    return toPage(await loader.load(parentId), page);
  }
}

/** How many children a parent has. PostgreSQL's driver returns counts as text. */
export interface Count {
  readonly key: string;
  readonly count: number | string;
}

/** Longer lists are not counted: that would take too long. */
const COUNT_MAX = 10_000;
/** Where counting stops. */
export const COUNT_LIMIT = COUNT_MAX + 1;
/** Each count may read `COUNT_LIMIT` rows. */
export const COUNTS_PER_STATEMENT = 20;

/** @returns `null` for a list that is too long to count. */
export function exactly(count: number | string | undefined): number | null {
  return Number(count ?? 0) > COUNT_MAX ? null : Number(count ?? 0);
}

/** Rows of one statement, all of which are processed in one turn of the event loop. */
const ROWS_PER_STATEMENT = 2_000;
const KEYS_PER_STATEMENT = 100;

type Find<Row> = (keys: readonly string[]) => Promise<readonly Row[]>;

/** Combines the look-ups of one turn into few statements, and keeps the results for the rest of the request. */
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

/** The same for lists of up to `rowsPerKey` rows, which keep the order of the statement. */
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

/** The rows with these ids, in their order. Rows that were deleted meanwhile are left out. */
export async function allFound<Row>(
  loader: DataLoader<string, Row | undefined>,
  ids: readonly { readonly id: string }[],
): Promise<Row[]> {
  const rows = await Promise.all(ids.map(({ id }) => loader.load(id)));
  return rows.filter((row) => row !== undefined);
}
