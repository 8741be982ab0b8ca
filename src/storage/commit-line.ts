import type { RawBuilder } from 'kysely';

export type Statement = RawBuilder<unknown>;
/** The rows that a statement answered with. */
export type Rows = readonly unknown[];

/**
 * Runs the statements in one transaction and commits durably before it resolves. They are known before it
 * begins, so that it takes one round trip to the database, not one for each.
 */
export type Transact = (statements: readonly Statement[]) => Promise<readonly Rows[]>;

/** Whoever has waited so long for a commit that failed is not made to wait for the next, which may take as long. */
const PATIENCE_MS = 1_000;

interface Waiting {
  readonly since: number;
  readonly statements: () => readonly Statement[];
  readonly resolve: (results: readonly Rows[]) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * The line in which writes wait for their commit. What arrives while as many commits are under way as may be
 * shares the next one, so the price of a durable commit is paid once for all of them. They also share its
 * fate: when it fails, every caller in it gets the error and nothing was stored; so does every caller that has
 * waited for it for more than a second.
 */
export class CommitLine {
  readonly #transact: Transact;
  readonly #underWayMax: number;
  #waiting: Waiting[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(transact: Transact, underWayMax = 1) {
    this.#transact = transact;
    this.#underWayMax = underWayMax;
  }

  /** @param statements asked for when the transaction begins, so that it can take in what has come by then. */
  write(statements: () => readonly Statement[]): Promise<readonly Rows[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ since: performance.now(), statements, resolve, reject });
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        // Everything that came in with the same turn of the event loop goes into the same commit.
        setImmediate(() => {
          this.#isScheduled = false;
          this.#next();
        });
      }
    });
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#underWay >= this.#underWayMax) {
      return;
    }
    const batch = this.#waiting;
    this.#waiting = [];
    this.#underWay += 1;
    void this.#commit(batch).then(() => {
      this.#underWay -= 1;
      this.#next();
    });
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
      for (const { reject } of [...batch, ...this.#takeImpatient()]) {
        reject(error);
      }
    }
  }

  #takeImpatient(): readonly Waiting[] {
    const before = performance.now() - PATIENCE_MS;
    const from = this.#waiting.findIndex(({ since }) => since > before);
    return this.#waiting.splice(0, from < 0 ? this.#waiting.length : from);
  }
}
