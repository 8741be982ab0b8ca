import { describe, expect, test } from '@jest/globals';
import { assert, asyncProperty, integer } from 'fast-check';
import { sql } from 'kysely';
import { type BatchKind, GroupCommit, ItemRefusedError } from '../../src/storage/group-commit.ts';
import { command, type Query, type Statement } from '../../src/storage/typed-statement.ts';
import { seededRandom } from '../support/seeded-random.ts';

const OUTAGE = new Error('The database is away.');
const BAD_VALUE = new Error('A value is bad.');

interface Item {
  readonly id: number;
  readonly isBad: boolean;
  readonly bytes: number;
  readonly weight: number;
}

/** Says in its statement which items it writes, and answers each with its id. */
class RecordingKind implements BatchKind<Item, number, never> {
  readonly batches: (readonly Item[])[] = [];
  readonly #written = new Map<Query, readonly Item[]>();

  statements(items: readonly Item[]): readonly Statement<never>[] {
    this.batches.push(items);
    const statement = command(sql`write`);
    this.#written.set(statement.query, items);
    return [statement];
  }

  results(items: readonly Item[]): readonly number[] {
    return items.map(({ id }) => id);
  }

  bytesOf({ bytes }: Item): number {
    return bytes;
  }

  weightOf({ weight }: Item): number {
    return weight;
  }

  itemsOf(query: Query): readonly Item[] {
    return this.#written.get(query) ?? [];
  }
}

function writeItem(write: (item: Item) => Promise<number>) {
  return ([id, weight]: readonly [id: number, weight: number]) => write({ id, weight, isBad: false, bytes: 0 });
}

const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

describe('a group commit', () => {
  test('commits each item that is not bad once, refuses each that is, and loses none, whatever fails', async () => {
    await assert(
      asyncProperty(integer(), integer({ min: 1, max: 3 }), async (seed, underWayMax) => {
        const random = seededRandom(seed);
        const kinds = [new RecordingKind(), new RecordingKind()];
        const committed: number[] = [];
        const open: (() => void)[] = [];
        let mostUnderWay = 0;
        const commits = new GroupCommit({
          underWayMax,
          blamesItems: (error) => error === BAD_VALUE,
          transact: async (statements) => {
            const items = statements.flatMap((statement) => kinds.flatMap((kind) => kind.itemsOf(statement)));
            await new Promise<void>((resolve) => {
              open.push(resolve);
              mostUnderWay = Math.max(mostUnderWay, open.length);
            });
            if (random() < 0.2) {
              throw OUTAGE;
            }
            if (items.some(({ isBad }) => isBad)) {
              throw BAD_VALUE;
            }
            committed.push(...items.map(({ id }) => id));
            return statements.map(() => []);
          },
        });
        const write = kinds.map((kind) => commits.register(kind));
        const outcomes: Promise<[Item, unknown]>[] = [];
        let settled = 0;
        for (let id = 0; id < 40; id += 1) {
          const weight = random() < 0.1 ? 600 : Math.ceil(100 * random());
          const item = { id, isBad: random() < 0.1, bytes: random() < 0.1 ? 9_000_000 : 10, weight };
          outcomes.push(
            (write[Math.floor(random() * 2)]?.(item) ?? Promise.reject(OUTAGE))
              .catch((error: unknown) => error)
              .then((outcome) => {
                settled += 1;
                return [item, outcome];
              }),
          );
          if (random() < 0.5) {
            await nextTurn();
            open.splice(Math.floor(random() * open.length), 1)[0]?.();
          }
        }
        while (settled < outcomes.length) {
          await nextTurn();
          open.shift()?.();
        }
        const all = await Promise.all(outcomes);
        const fulfilled = all.filter(([item, outcome]) => outcome === item.id).map(([{ id }]) => id);
        expect(new Set(committed)).toEqual(new Set(fulfilled));
        expect(committed).toHaveLength(fulfilled.length);
        const refused = all.filter(([, outcome]) => outcome instanceof ItemRefusedError);
        expect(refused.filter(([{ isBad }]) => !isBad)).toEqual([]);
        const others = all.filter(([, outcome]) => outcome === OUTAGE).length;
        expect(fulfilled.length + refused.length + others).toBe(all.length);
        expect(mostUnderWay).toBeLessThanOrEqual(underWayMax);
        for (const batch of kinds.flatMap(({ batches }) => batches)) {
          const bytes = batch.reduce((sum, one) => sum + one.bytes, 0);
          const weight = batch.reduce((sum, one) => sum + one.weight, 0);
          expect(batch.length === 1 || (bytes <= 8 * 1_048_576 && weight <= 512)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('gives every item of a batch its own answer, also where a batch is larger than one statement takes', async () => {
    const kind = new RecordingKind();
    const commits = new GroupCommit({
      underWayMax: 1,
      blamesItems: () => false,
      transact: async (statements) => statements.map(() => []),
    });
    const write = commits.register(kind);
    const ids = Array.from({ length: 1_300 }, (_, id) => id);
    expect(await Promise.all(ids.map((id) => write({ id, isBad: false, bytes: 0, weight: 1 })))).toEqual(ids);
    expect(kind.batches.map(({ length }) => length)).toEqual([512, 512, 276]);
  });

  test('gives an item that takes long a transaction of its own, and lets all others go before the next one', async () => {
    const transactions: number[][] = [];
    const open: (() => void)[] = [];
    const [long, short] = [new RecordingKind(), new RecordingKind()];
    const commits = new GroupCommit({
      underWayMax: 1,
      blamesItems: () => false,
      transact: async (statements) => {
        const items = statements.flatMap((statement) => [...long.itemsOf(statement), ...short.itemsOf(statement)]);
        transactions.push(items.map(({ id }) => id));
        await new Promise<void>((resolve) => void open.push(resolve));
        return statements.map(() => []);
      },
    });
    const [writeLong, writeShort] = [commits.register(long), commits.register(short)];
    const written = [[1, 513] as const, [2, 513] as const, [3, 9] as const, [4, 600] as const].map(
      writeItem(writeLong),
    );
    await nextTurn();
    written.push(...[[5, 1] as const, [6, 1] as const].map(writeItem(writeShort)));
    for (let ended = 0; ended < 5; ended += 1) {
      open.shift()?.();
      await nextTurn();
    }
    await Promise.all(written);
    expect(transactions).toEqual([[1], [5, 6], [2], [3], [4]]);
  });

  test('lets owners take turns, where a kind has them', async () => {
    const order: string[] = [];
    const commits = new GroupCommit({
      underWayMax: 1,
      blamesItems: () => false,
      transact: async () => [[]],
    });
    const write = commits.register<string, undefined, never>({
      ownerOf: ([owner]) => owner,
      weightOf: () => 513,
      statements: (items) => {
        order.push(...items);
        return [command(sql`write`)];
      },
      results: (items) => items.map(() => undefined),
    });
    const first = ['a1', 'a2', 'a3', 'a4', 'b1', 'a5', 'c1', 'b2'].map((item) => write(item));
    await first[0];
    const later = ['d1', 'b3'].map((item) => write(item));
    await Promise.all([...first, ...later]);
    expect(order.slice(0, 5)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2']);
    expect(order.indexOf('d1')).toBeLessThan(order.indexOf('a4'));
    expect(order.indexOf('b3')).toBeLessThan(order.indexOf('a5'));
    expect(order).toHaveLength(10);
  });

  test('does not write again what was committed when its answer cannot be read', async () => {
    let commitsMade = 0;
    const commits = new GroupCommit({
      underWayMax: 1,
      blamesItems: () => true,
      transact: async (statements) => {
        commitsMade += 1;
        return statements.map(() => []);
      },
    });
    const write = commits.register({
      statements: () => [command(sql`write`)],
      results: () => {
        throw BAD_VALUE;
      },
    });
    const outcomes = await Promise.allSettled([write(1), write(2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(commitsMade).toBe(1);
  });
});
