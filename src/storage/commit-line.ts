import type { Transaction as KyselyTransaction } from 'kysely';

/** The handle that storage code runs its statements on, inside the transaction of a commit. */
export type Transaction = KyselyTransaction<unknown>;

/** Opens a transaction, runs the work in it, and commits durably before it resolves. */
export type Transact = (work: (transaction: Transaction) => Promise<void>) => Promise<void>;

interface Waiting {
  readonly work: (transaction: Transaction) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * The line in which writes wait for their commit. One commit is under way at a time; whatever arrives
 * meanwhile shares the next one, so the price of a durable commit is paid once for all of them.
 * They also share its fate: when it fails, every caller in it gets the error and nothing was stored.
 */
export class CommitLine {
  readonly #transact: Transact;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(transact: Transact) {
    this.#transact = transact;
  }

  write<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (!this.#running) {
        this.#running = true;
        // Everything that came in with the same turn of the event loop goes into the same commit.
        setImmediate(() => void this.#run());
      }
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#commit(batch);
    }
    this.#running = false;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const results: unknown[] = [];
    try {
      await this.#transact(async (transaction) => {
        for (const { work } of batch) {
          results.push(await work(transaction));
        }
      });
    } catch (error) {
      for (const { reject } of batch) {
        reject(error);
      }
      return;
    }
    for (const [index, { resolve }] of batch.entries()) {
      resolve(results[index]);
    }
  }
}
