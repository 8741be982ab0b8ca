import type { RawBuilder } from 'kysely';

export type Statement = RawBuilder<unknown>;
/** The rows that a statement answered with. */
export type Rows = readonly unknown[];

/**
 * Runs the statements in one transaction and commits durably before it resolves. They are known before it
 * begins, so that it takes one round trip to the database, not one for each.
 */
export type Transact = (statements: readonly Statement[]) => Promise<readonly Rows[]>;

interface Waiting {
  readonly statements: () => readonly Statement[];
  readonly resolve: (results: readonly Rows[]) => void;
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

  /** @param statements asked for when the transaction begins, so that it can take in what has come by then. */
  write(statements: () => readonly Statement[]): Promise<readonly Rows[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statements, resolve, reject });
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
    try {
      const lists = batch.map(({ statements }) => statements());
      const results = await this.#transact(lists.flat());
      let from = 0;
      for (const [index, { resolve }] of batch.entries()) {
        const to = from + (lists[index]?.length ?? 0);
        resolve(results.slice(from, to));
        from = to;
      }
    } catch (error) {
      for (const { reject } of batch) {
        reject(error);
      }
    }
  }
}
