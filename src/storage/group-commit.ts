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
  /** For how many items it counts; 1 if left out. */
  readonly weightOf?: (item: Item) => number;
}

/** The database refuses this item because of its values, and would refuse it again. The cause says why. */
export class ItemRefusedError extends Error {
  override readonly name = 'ItemRefusedError';
}

/** Of one kind in one transaction, which keeps commits short. A single item may count for more. */
const ITEMS_MAX = 512;
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
 * When a commit fails because of its items, its halves are tried again: one bad item fails alone. When it fails
 * because the database is away, all its items fail, and so do those that have waited for more than a second.
 */
export class GroupCommit<Procedure = never> {
  readonly #options: GroupCommitOptions<Procedure>;
  readonly #waiting: WaitingItems<Procedure>[] = [];
  #underWay = 0;
  #isScheduled = false;

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
      const batches = this.#waiting.flatMap((waiting) => waiting.takeBatch() ?? []);
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
  takeBatch(): Batch<Procedure> | undefined;
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
  readonly since: number;
  readonly resolve: (result: Result | PromiseLike<Result>) => void;
  readonly reject: (cause: unknown) => void;
}

class WaitingItemsOf<Item, Result, Row, Procedure> implements WaitingItems<Procedure> {
  readonly #kind: BatchKind<Item, Result, Row, Procedure>;
  readonly #entries: Entry<Item, Result>[] = [];

  constructor(kind: BatchKind<Item, Result, Row, Procedure>) {
    this.#kind = kind;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#entries.push({ item, since: performance.now(), resolve, reject });
    });
  }

  takeBatch(): Batch<Procedure> | undefined {
    let count = 0;
    let bytes = 0;
    let weight = 0;
    for (const { item } of this.#entries) {
      bytes += this.#kind.bytesOf?.(item) ?? 0;
      weight += this.#kind.weightOf?.(item) ?? 1;
      if (count > 0 && (weight > ITEMS_MAX || bytes > BYTES_MAX)) {
        break;
      }
      count += 1;
    }
    return count === 0 ? undefined : new BatchOf(this.#kind, this.#entries.splice(0, count));
  }

  rejectOlder(before: number, cause: unknown): void {
    const from = this.#entries.findIndex(({ since }) => since > before);
    for (const { reject } of this.#entries.splice(0, from < 0 ? this.#entries.length : from)) {
      reject(cause);
    }
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
