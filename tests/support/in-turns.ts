/** Calls for every item, so many at a time; the results are in the items' order. */
export async function inTurns<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  call: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of waiting) {
      results[index] = await call(item);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
