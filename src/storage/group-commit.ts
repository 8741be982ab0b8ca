import type { RawBuilder } from 'kysely';

export type Statement = RawBuilder<unknown>;
/** The rows that a statement answered with. */
export type Rows = readonly unknown[];

/**
 * Runs the steps in one transaction and commits durably before it resolves. They are known before it begins, so
 * that it takes one round trip to the database, not one for each. A step is a statement; a database may know others.
 */
export type Transact<Step = Statement> = (steps: readonly Step[]) => Promise<readonly Rows[]>;

/** How items of one kind are written, many at once. */
export interface BatchKind<Item, Result, Step = Statement> {
  /** @param items never empty */
  readonly statements: (items: readonly Item[]) => readonly Step[];
  /** Reads what the steps answered; the results are in the items' order. */
  readonly results: (items: readonly Item[], answers: readonly Rows[]) => readonly Result[];
  /** The bytes that the item brings along, beside a few hundred; 0 where this is left out. */
  readonly bytesOf?: (item: Item) => number;
}

/** The database refuses this item for what is in it; it would refuse it again. The cause says why. */
export class ItemRefusedError extends Error {
  override readonly name = 'ItemRefusedError';
}

/** Of one kind in one transaction, so that a commit stays short. */
const ITEMS_MAX = 512;
/** A transaction carries more only when a single item does. PostgreSQL refuses parameters of 1 GB. */
const BYTES_MAX = 8 * 1_048_576;
/** A caller that has waited so long for a commit that failed is not made to wait for the next, which may take as long. */
const PATIENCE_MS = 1_000;

interface Entry {
  readonly item: unknown;
  readonly since: number;
  readonly resolve: (result: never) => void;
  readonly reject: (cause: unknown) => void;
}

interface Kind<Step> {
  readonly kind: BatchKind<unknown, unknown, Step>;
  waiting: Entry[];
}

/** Where kinds of items are registered, whatever else may be. */
export type Commits<Step = Statement> = Pick<GroupCommit<Step>, 'register'>;

interface Batch<Step> {
  readonly kind: BatchKind<unknown, unknown, Step>;
  readonly entries: readonly Entry[];
}

export interface GroupCommitOptions<Step = Statement> {
  readonly transact: Transact<Step>;
  /** Commits that may be under way at the same time. */
  readonly underWayMax: number;
  /** Whether the items are to blame for the error, and not the database that may be away. */
  readonly blamesItems: (error: unknown) => boolean;
}

/**
 * Writes that arrive while a commit is under way share the next one, so the price of a durable commit is paid
 * once for all of them. Kinds that are registered with the same group commit share transactions too.
 *
 * A commit that fails for what is in it is tried again in halves: one bad item takes no other along. A commit
 * that fails because the database is away fails for all that share it, and for all that have waited for it for
 * more than a second.
 */
export class GroupCommit<Step = Statement> {
  readonly #options: GroupCommitOptions<Step>;
  readonly #kinds: Kind<Step>[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(options: GroupCommitOptions<Step>) {
    this.#options = options;
  }

  /** @returns a function that writes one item, and resolves when its commit is durable. */
  register<Item, Result>(batchKind: BatchKind<Item, Result, Step>): (item: Item) => Promise<Result> {
    const kind: Kind<Step> = { kind: batchKind as unknown as BatchKind<unknown, unknown, Step>, waiting: [] };
    this.#kinds.push(kind);
    return (item) =>
      new Promise<Result>((resolve, reject) => {
        kind.waiting.push({ item, since: performance.now(), resolve, reject });
        this.#schedule();
      });
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
      const batches = this.#kinds.filter(({ waiting }) => waiting.length > 0).map(takeBatch);
      if (batches.length === 0) {
        return;
      }
      this.#underWay += 1;
      // The next is on its way before anybody goes on who has waited for this one: the database need not wait for them.
      void this.#commit(batches, () => {
        this.#underWay -= 1;
        this.#next();
      });
    }
  }

  async #commit(batches: readonly Batch<Step>[], ended: () => void): Promise<void> {
    let answers: readonly Rows[];
    let lengths: readonly number[];
    try {
      const statements = batches.map(({ kind, entries }) => kind.statements(entries.map(({ item }) => item)));
      lengths = statements.map(({ length }) => length);
      answers = await this.#options.transact(statements.flat());
    } catch (error) {
      await this.#fail(batches, error);
      ended();
      return;
    }
    ended();
    let from = 0;
    for (const [index, batch] of batches.entries()) {
      const to = from + (lengths[index] ?? 0);
      settle(batch, answers.slice(from, to));
      from = to;
    }
  }

  async #fail(batches: readonly Batch<Step>[], error: unknown): Promise<void> {
    const [first] = batches;
    const isDivisible = batches.length > 1 || (first?.entries.length ?? 0) > 1;
    if (!this.#options.blamesItems(error)) {
      for (const { reject } of [...batches.flatMap(({ entries }) => entries), ...this.#takeImpatient()]) {
        reject(error);
      }
    } else if (isDivisible) {
      for (const half of halvesOf(batches)) {
        await this.#commit(half, () => {});
      }
    } else {
      first?.entries[0]?.reject(new ItemRefusedError('The database refuses the values.', { cause: error }));
    }
  }

  #takeImpatient(): Entry[] {
    const before = performance.now() - PATIENCE_MS;
    return this.#kinds.flatMap((kind) => {
      const from = kind.waiting.findIndex(({ since }) => since > before);
      return kind.waiting.splice(0, from < 0 ? kind.waiting.length : from);
    });
  }
}

function takeBatch<Step>({ kind, waiting }: Kind<Step>): Batch<Step> {
  let count = 0;
  let bytes = 0;
  while (count < Math.min(waiting.length, ITEMS_MAX)) {
    bytes += kind.bytesOf?.((waiting[count] as Entry).item) ?? 0;
    if (count > 0 && bytes > BYTES_MAX) {
      break;
    }
    count += 1;
  }
  return { kind, entries: waiting.splice(0, count) };
}

function halvesOf<Step>(batches: readonly Batch<Step>[]): (readonly Batch<Step>[])[] {
  const [first] = batches;
  if (batches.length > 1 || first === undefined) {
    return batches.map((batch) => [batch]);
  }
  const middle = Math.ceil(first.entries.length / 2);
  return [first.entries.slice(0, middle), first.entries.slice(middle)].map((entries) => [{ ...first, entries }]);
}

/** An answer that cannot be read is no reason to write the items again. */
function settle<Step>({ kind, entries }: Batch<Step>, answers: readonly Rows[]): void {
  let results: readonly unknown[];
  try {
    results = kind.results(
      entries.map(({ item }) => item),
      answers,
    );
  } catch (error) {
    for (const { reject } of entries) {
      reject(error);
    }
    return;
  }
  for (const [index, { resolve }] of entries.entries()) {
    resolve(results[index] as never);
  }
}

/**
 * Many byte strings as one parameter. A statement that writes a whole batch gets two parameters, however
 * large the batch is: the rows as JSON, and their bytes end to end, each found again by offset and length.
 */
export class PackedBytes {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** @returns the place as SQL's `substr` counts: from 1. */
  add(bytes: Buffer): [offset: number, length: number] {
    const offset = this.#length + 1;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    return [offset, bytes.length];
  }

  toBuffer(): Buffer {
    const [first] = this.#chunks;
    return first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#length);
  }
}
