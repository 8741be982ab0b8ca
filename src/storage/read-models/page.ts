import type DataLoader from 'dataloader';

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
