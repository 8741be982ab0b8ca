import type { CommitLine, Transaction } from './commit-line.ts';

interface Entry<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (cause: unknown) => void;
}

/** Runs the statements of one kind for many items at once; the results are in the items' order. */
export type BatchStatements<Item, Result> = (
  transaction: Transaction,
  items: readonly Item[],
) => Promise<readonly Result[]>;

/** Upper bound of one statement's work, so that a commit stays short. */
const BATCH_MAX = 512;

/** Collects items of one kind, so that all that wait for the same commit are written by the same statements. */
export class Batch<Item, Result> {
  readonly #line: CommitLine;
  readonly #statements: BatchStatements<Item, Result>;
  #entries: Entry<Item, Result>[] = [];

  constructor(line: CommitLine, statements: BatchStatements<Item, Result>) {
    this.#line = line;
    this.#statements = statements;
  }

  add(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#entries.push({ item, resolve, reject });
      // The first entry of a batch queues it; the others find it queued.
      if (this.#entries.length % BATCH_MAX === 1) {
        this.#enqueue();
      }
    });
  }

  #enqueue(): void {
    let taken: Entry<Item, Result>[] = [];
    this.#line
      .write((transaction) => {
        // Taken when the transaction is open, not when it was queued: all that has arrived by then goes along.
        taken = this.#entries.splice(0, BATCH_MAX);
        return this.#statements(
          transaction,
          taken.map(({ item }) => item),
        );
      })
      .then(
        (results) => {
          for (const [index, { resolve }] of taken.entries()) {
            resolve(results[index] as Result);
          }
        },
        (error: unknown) => {
          // A commit that failed before this work had its turn has taken nothing yet.
          const failed = taken.length > 0 ? taken : this.#entries.splice(0, BATCH_MAX);
          for (const { reject } of failed) {
            reject(error);
          }
        },
      );
  }
}
