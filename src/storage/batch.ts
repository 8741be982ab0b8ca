import type { CommitLine, Rows, Statement } from './commit-line.ts';

/** How items of one kind are written, many at once. */
export interface BatchKind<Item, Result> {
  /** @param items never empty */
  readonly statements: (items: readonly Item[]) => readonly Statement[];
  /** Reads what the statements answered; the results are in the items' order. */
  readonly results: (items: readonly Item[], answers: readonly Rows[]) => readonly Result[];
}

interface Entry<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (cause: unknown) => void;
}

/** Upper bound of one statement's work, so that a commit stays short. */
const BATCH_MAX = 512;

/** Collects items of one kind, so that all that wait for the same commit are written by the same statements. */
export class Batch<Item, Result> {
  readonly #line: CommitLine;
  readonly #kind: BatchKind<Item, Result>;
  #entries: Entry<Item, Result>[] = [];

  constructor(line: CommitLine, kind: BatchKind<Item, Result>) {
    this.#line = line;
    this.#kind = kind;
  }

  add(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#entries.push({ item, resolve, reject });
      // The first entry of a batch queues it; the others find it queued.
      if (this.#entries.length % BATCH_MAX === 1) {
        void this.#write();
      }
    });
  }

  async #write(): Promise<void> {
    let taken: readonly Entry<Item, Result>[] = [];
    let items: readonly Item[] = [];
    try {
      const answers = await this.#line.write(() => {
        taken = this.#entries.splice(0, BATCH_MAX);
        items = taken.map(({ item }) => item);
        return items.length === 0 ? [] : this.#kind.statements(items);
      });
      const results = items.length === 0 ? [] : this.#kind.results(items, answers);
      for (const [index, { resolve }] of taken.entries()) {
        resolve(results[index] as Result);
      }
    } catch (error) {
      // The line may give up before it has asked for the statements.
      for (const { reject } of taken.length > 0 ? taken : this.#entries.splice(0, BATCH_MAX)) {
        reject(error);
      }
    }
  }
}
