import type { RawBuilder } from 'kysely';
import DataLoader from 'dataloader';
import type { EntityManager } from '@mikro-orm/sql';

/** Bounds what one request may read. Every statement of its reads goes through it. */
export interface Meter {
  /** Runs one statement, behind those before it. @throws DomainError when the request may read no more. */
  read<Row extends object>(statement: () => Promise<readonly Row[]>): Promise<readonly Row[]>;
  /** Asks before so many bytes are read. @throws DomainError when they are more than the request may read. */
  expect(bytes: number): void;
  /** Runs it when whatever is looked up in this turn has been asked for. */
  batch(run: () => void): void;
}

/** For the program itself. */
export const UNMETERED: Meter = {
  read: (statement) => statement(),
  expect: () => undefined,
  batch: (run) => void setImmediate(run),
};

/** Runs a statement that is not the mapper's; its log has it all the same. */
export async function select<Row>(em: EntityManager, statement: RawBuilder<Row>): Promise<Row[]> {
  const database = em.getKysely();
  const log = em.config.getLogger();
  if (log.isEnabled('query')) {
    log.log('query', statement.compile(database).sql);
  }
  return (await statement.execute(database)).rows;
}

/** One page of a list that is cut by key, never by offset: rows that come or go do not shift it. */
export interface PageArguments {
  /** From 0 to `PAGE_MAX`. */
  readonly first: number;
  /** The id after which the page begins, in the list's own order. */
  readonly after: string | undefined;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

export const PAGE_MAX = 100;

/** Where a list that runs from the newest id down begins. */
export const ID_BEYOND_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** @param rows one more than the page holds, where there are more. */
export function toPage<Row>(rows: readonly Row[], { first, after }: PageArguments): Page<Row> {
  return { rows: rows.slice(0, first), hasNextPage: rows.length > first, hasPreviousPage: after !== undefined };
}

/**
 * A nested page: the same page of several parents. All parents that a query asks the same page of are
 * answered by one statement; so the loaders are kept by the page's arguments.
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
