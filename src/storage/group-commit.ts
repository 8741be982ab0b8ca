import type { Answer, Query, Statement, Transact } from './typed-statement.ts';

/** How items of one kind are written, many at once. */
export interface BatchKind<Item, Result, Row, Procedure = never> {
  /** @param items never empty */
  readonly statements: (items: readonly Item[]) => readonly Statement<Row, Procedure>[];
  /**
   * @param rows of all the statements, in their order
   * @returns a result for each item, in their order.
   */
  readonly results: (items: readonly Item[], rows: readonly Row[]) => readonly Result[];
  /** The size of an item beyond a few hundred bytes; 0 if left out. */
  readonly bytesOf?: (item: Item) => number;
  /** How much longer than a common item it makes a transaction; 1 if left out. */
  readonly weightOf?: (item: Item) => number;
  /** Owners take turns. If it is left out, the oldest item goes first. */
  readonly ownerOf?: (item: Item) => unknown;
}

/** The database refuses this item because of its values, and would refuse it again. The cause says why. */
export class ItemRefusedError extends Error {
  override readonly name = 'ItemRefusedError';
}

/** Of the items of one kind in one transaction, which keeps commits short. */
const WEIGHT_MAX = 512;
/** A transaction carries more only when a single item does. PostgreSQL refuses parameters of 1 GB. */
const BYTES_MAX = 8 * 1_048_576;
/** When a commit fails, callers that have waited longer are refused too: the next commit may take as long. */
const PATIENCE_MS = 1_000;

export interface GroupCommitOptions<Procedure = never> {
  readonly transact: Transact<Procedure>;
  /** Commits that may be under way at the same time. */
  readonly underWayMax: number;
  /** True if the items caused the error; false if the database did, which may be away. */
  readonly blamesItems: (error: unknown) => boolean;
}

/** The part that the stores see. */
export type Commits<Procedure = never> = Pick<GroupCommit<Procedure>, 'register'>;

/**
 * Writes that arrive while a commit is under way share the next one, which pays the price of a durable commit once
 * for all of them. Kinds that are registered with the same group commit share transactions too.
 *
 * An item that takes long by itself gets a transaction of its own, and everything else that waits goes before the next
 * one. So nobody waits for two of them.
 *
 * When a commit fails because of its items, its halves are tried again: one bad item fails alone. When it fails
 * because the database is away, all its items fail, and so do those that have waited for more than a second.
 */
export class GroupCommit<Procedure = never> {
  readonly #options: GroupCommitOptions<Procedure>;
  readonly #waiting: WaitingItems<Procedure>[] = [];
  #underWay = 0;
  #isScheduled = false;
  #wasLong = false;

  constructor(options: GroupCommitOptions<Procedure>) {
    this.#options = options;
  }

  /** @returns a function that writes one item, and resolves when its commit is durable. */
  register<Item, Result, Row>(kind: BatchKind<Item, Result, Row, Procedure>): (item: Item) => Promise<Result> {
    const waiting = new WaitingItemsOf(kind);
    this.#waiting.push(waiting);
    return (item) => {
      const written = waiting.add(item);
      this.#schedule();
      return written;
    };
  }

  // Everything that came in with the same turn of the event loop goes into the same commit.
  #schedule(): void {
    if (!this.#isScheduled && this.#underWay < this.#options.underWayMax) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.#next();
      });
    }
  }

  #next(): void {
    while (this.#underWay < this.#options.underWayMax) {
      const batches = this.#takeBatches();
      if (batches.length === 0) {
        return;
      }
      this.#underWay += 1;
      // The next commit starts before the callers of this one go on: the database need not wait for them.
      void this.#commit(batches, () => {
        this.#underWay -= 1;
        this.#next();
      });
    }
  }

  /** Long items and all others take turns. */
  #takeBatches(): readonly Batch<Procedure>[] {
    const long = this.#waiting.find(({ isLongNext }) => isLongNext);
    if (long === undefined || this.#wasLong) {
      const batches = this.#waiting.flatMap((waiting) => waiting.takeBatch() ?? []);
      if (long === undefined || batches.length > 0) {
        this.#wasLong = false;
        return batches;
      }
    }
    this.#wasLong = true;
    return [long.takeLong()];
  }

  async #commit(batches: readonly Batch<Procedure>[], ended: () => void): Promise<void> {
    let prepared: readonly PreparedBatch<Procedure>[];
    let answers: readonly Answer[];
    try {
      prepared = batches.map((batch) => batch.prepare());
      answers = await this.#options.transact(prepared.flatMap(({ queries }) => queries));
    } catch (error) {
      await this.#fail(batches, error);
      ended();
      return;
    }
    ended();
    let from = 0;
    for (const { queries, settle } of prepared) {
      settle(answers.slice(from, from + queries.length));
      from += queries.length;
    }
  }

  async #fail(batches: readonly Batch<Procedure>[], error: unknown): Promise<void> {
    const [first] = batches;
    if (!this.#options.blamesItems(error)) {
      batches.forEach((batch) => batch.reject(error));
      this.#waiting.forEach((waiting) => waiting.rejectOlder(performance.now() - PATIENCE_MS, error));
    } else if (batches.length > 1) {
      for (const batch of batches) {
        await this.#commit([batch], () => {});
      }
    } else if (first !== undefined && first.size > 1) {
      for (const half of first.halves()) {
        await this.#commit([half], () => {});
      }
    } else {
      first?.reject(new ItemRefusedError('The database refuses the values.', { cause: error }));
    }
  }
}

/** Items of one kind, as the group commit sees them: it has no use for their types. */
interface WaitingItems<Procedure> {
  /** Whether the next item gets a transaction of its own. */
  readonly isLongNext: boolean;
  /** @returns `undefined` also if a long item is next */
  takeBatch(): Batch<Procedure> | undefined;
  takeLong(): Batch<Procedure>;
  /** @param before on the clock of `performance.now` */
  rejectOlder(before: number, cause: unknown): void;
}

interface Batch<Procedure> {
  readonly size: number;
  prepare(): PreparedBatch<Procedure>;
  halves(): readonly Batch<Procedure>[];
  reject(cause: unknown): void;
}

interface PreparedBatch<Procedure> {
  readonly queries: readonly Query<Procedure>[];
  /** @param answers one for each query */
  readonly settle: (answers: readonly Answer[]) => void;
}

interface Entry<Item, Result> {
  readonly item: Item;
  /** The round of turns in which it goes; 0 if there are no owners. */
  readonly round: number;
  readonly since: number;
  readonly resolve: (result: Result | PromiseLike<Result>) => void;
  readonly reject: (cause: unknown) => void;
}

class WaitingItemsOf<Item, Result, Row, Procedure> implements WaitingItems<Procedure> {
  readonly #kind: BatchKind<Item, Result, Row, Procedure>;
  /** In the order in which they go. */
  #entries: Entry<Item, Result>[] = [];

  constructor(kind: BatchKind<Item, Result, Row, Procedure>) {
    this.#kind = kind;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const entry = { item, round: this.#roundOf(item), since: performance.now(), resolve, reject };
      const before = this.#kind.ownerOf && this.#entries.findIndex(({ round }) => round > entry.round);
      if (before === undefined || before === -1) {
        this.#entries.push(entry);
      } else {
        this.#entries.splice(before, 0, entry);
      }
    });
  }

  get isLongNext(): boolean {
    const [first] = this.#entries;
    return first !== undefined && this.#weightOf(first) > WEIGHT_MAX;
  }

  takeLong(): Batch<Procedure> {
    return new BatchOf(this.#kind, this.#entries.splice(0, 1));
  }

  takeBatch(): Batch<Procedure> | undefined {
    let count = 0;
    let bytes = 0;
    let weight = 0;
    for (const entry of this.#entries) {
      bytes += this.#kind.bytesOf?.(entry.item) ?? 0;
      weight += this.#weightOf(entry);
      if (weight > WEIGHT_MAX || (count > 0 && bytes > BYTES_MAX)) {
        break;
      }
      count += 1;
    }
    return count === 0 ? undefined : new BatchOf(this.#kind, this.#entries.splice(0, count));
  }

  #weightOf({ item }: Entry<Item, Result>): number {
    return this.#kind.weightOf?.(item) ?? 1;
  }

  /** An item goes a round after those of its owner that wait. Kinds that have owners have few items. */
  #roundOf(item: Item): number {
    const { ownerOf } = this.#kind;
    if (ownerOf === undefined) {
      return 0;
    }
    const owner = ownerOf(item);
    const own = this.#entries.filter((entry) => ownerOf(entry.item) === owner).length;
    return (this.#entries[0]?.round ?? 0) + own;
  }

  rejectOlder(before: number, cause: unknown): void {
    const older = this.#entries.filter(({ since }) => since <= before);
    this.#entries = this.#entries.filter(({ since }) => since > before);
    older.forEach(({ reject }) => reject(cause));
  }
}

class BatchOf<Item, Result, Row, Procedure> implements Batch<Procedure> {
  readonly #kind: BatchKind<Item, Result, Row, Procedure>;
  readonly #entries: readonly Entry<Item, Result>[];

  constructor(kind: BatchKind<Item, Result, Row, Procedure>, entries: readonly Entry<Item, Result>[]) {
    this.#kind = kind;
    this.#entries = entries;
  }

  get size(): number {
    return this.#entries.length;
  }

  prepare(): PreparedBatch<Procedure> {
    const items = this.#entries.map(({ item }) => item);
    const statements = this.#kind.statements(items);
    return {
      queries: statements.map(({ query }) => query),
      settle: (answers) => {
        try {
          const rows = statements.flatMap(({ read }, index) => read(answers[index] ?? []));
          const results = this.#kind.results(items, rows);
          this.#entries.forEach(({ resolve }, index) => resolve(results[index] as Result));
        } catch (error) {
          // The items are written; an answer that cannot be read is no reason to write them again.
          this.reject(error);
        }
      },
    };
  }

  halves(): readonly Batch<Procedure>[] {
    const middle = Math.ceil(this.#entries.length / 2);
    return [this.#entries.slice(0, middle), this.#entries.slice(middle)].map((half) => new BatchOf(this.#kind, half));
  }

  reject(cause: unknown): void {
    for (const { reject } of this.#entries) {
      reject(cause);
    }
  }
}
