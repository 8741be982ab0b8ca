import { DomainError } from '../core/errors.ts';
import type { Page } from '../storage/read-models/page.ts';

const ENTRIES_MAX = 20_000;
const DURATION_MAX_MS = 10_000;

/**
 * Bounds what one request may cost. Lists within lists multiply, which no limit on depth can see; so every
 * list that is about to be returned is counted, and the time is looked at.
 */
export class Budget {
  readonly #startedAt = performance.now();
  #entries = 0;

  /** @throws DomainError TOO_EXPENSIVE */
  spend<Row>(rows: readonly Row[]): readonly Row[] {
    this.#entries += rows.length;
    if (this.#entries > ENTRIES_MAX) {
      throw DomainError.tooExpensive(
        `One request may read at most ${ENTRIES_MAX} list entries; ask for smaller pages.`,
      );
    }
    if (performance.now() - this.#startedAt > DURATION_MAX_MS) {
      throw DomainError.tooExpensive(`One request may take at most ${DURATION_MAX_MS / 1000} seconds; ask for less.`);
    }
    return rows;
  }

  /** @throws DomainError TOO_EXPENSIVE */
  spendPage<Row>(page: Page<Row>): Page<Row> {
    this.spend(page.rows);
    return page;
  }
}
