import DataLoader from 'dataloader';

/** How many children a parent has; PostgreSQL's driver answers counts as text. */
export interface Count {
  readonly key: string;
  readonly count: number | string;
}

/** Answers all look-ups of one turn by one statement; the answers are kept for the rest of the request. */
export function oneByKey<Row>(
  find: (keys: readonly string[]) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): DataLoader<string, Row | undefined> {
  return new DataLoader(async (keys) => {
    const byKey = new Map((await find(keys)).map((row) => [keyOf(row), row]));
    return keys.map((key) => byKey.get(key));
  });
}

/** The same for lists; the rows of each list stay in the order the statement gave them. */
export function manyByKey<Row>(
  find: (keys: readonly string[]) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): DataLoader<string, readonly Row[]> {
  return new DataLoader(async (keys) => {
    const byKey = Map.groupBy(await find(keys), keyOf);
    return keys.map((key) => byKey.get(key) ?? []);
  });
}

/** The rows of these ids, in their order; one that was deleted meanwhile is left out. */
export async function allFound<Row>(
  loader: DataLoader<string, Row | undefined>,
  ids: readonly { readonly id: string }[],
): Promise<Row[]> {
  const rows = await Promise.all(ids.map(({ id }) => loader.load(id)));
  return rows.filter((row) => row !== undefined);
}
