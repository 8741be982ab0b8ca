import { DomainError } from '../core/errors.ts';
import type { Scope } from '../core/scope.ts';
import type { Meter } from '../storage/read-models/reading.ts';
import type { AnswerPool } from './answer.ts';
import type { AnswerTurns } from './answer-turns.ts';

const MIB = 1024 * 1024;
/** For the answer, and again for the rows that it needs. In memory, both take a few times as much. */
const BYTES_MAX = 8 * MIB;
const ROWS_MAX = 20_000;
const DURATION_MAX_MS = 10_000;
/** Memory is taken from the pool in grants of this size. */
const GRANT_BYTES = 256 * 1024;
/** The overhead of a row, and of an object and a field in the answer. */
const ROW_BYTES = 128;
const OBJECT_BYTES = 384;
const FIELD_BYTES = 32;

interface BudgetDependencies {
  readonly caller: Scope;
  readonly pool: AnswerPool;
  readonly turns: AnswerTurns;
  readonly durationMaxMs?: number;
}

/**
 * Bounds the cost of one request. Nested lists multiply, and a query can repeat one text a thousand times. Limits on depth,
 * and packages that estimate the cost of a query from its text, cannot see the size of the data. Rows are therefore
 * counted when they are read, and values each time they are put into the answer. A request that exceeds its budget or
 * its time gets TOO_EXPENSIVE and stops.
 */
export class Budget implements Meter {
  readonly #caller: Scope;
  readonly #pool: AnswerPool;
  readonly #turns: AnswerTurns;
  readonly #durationMaxMs: number;
  readonly #refused = Promise.withResolvers<DomainError>();
  #failure: DomainError | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Statements run one after the other: a request uses one connection, and can be stopped before the next statement. */
  #reading: Promise<unknown> = Promise.resolve();
  #rows = 0;
  #readBytes = 0;
  #answerBytes = 0;
  #grantedBytes = 0;
  #isReleased = false;

  constructor({ caller, pool, turns, durationMaxMs = DURATION_MAX_MS }: BudgetDependencies) {
    this.#durationMaxMs = durationMaxMs;
    this.#caller = caller;
    this.#pool = pool;
    this.#turns = turns;
  }

  /** Resolves when the operation must be aborted. */
  get refused(): Promise<DomainError> {
    return this.#refused.promise;
  }

  /** Starts the time of the operation. @throws DomainError TOO_MANY_REQUESTS */
  begin(): void {
    this.#grant(1);
    const seconds = this.#durationMaxMs / 1_000;
    const refusal = DomainError.tooExpensive(`One request may take at most ${seconds} seconds; ask for less.`);
    this.#timer = setTimeout(() => this.#fail(refusal), this.#durationMaxMs).unref();
  }

  /** The operation has ended. Its answer has yet to be sent. */
  end(): void {
    clearTimeout(this.#timer);
    this.#turns.drop(this);
  }

  /** The answer has been sent, or the caller has disconnected. */
  release(): void {
    if (!this.#isReleased) {
      this.#fail(DomainError.tooExpensive('The caller has disconnected.'));
      this.#isReleased = true;
      this.#pool.giveBack(this.#caller, this.#grantedBytes);
    }
  }

  /** @throws DomainError when the request is over its budget */
  check(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** Waits for the turn to complete an object. @throws DomainError when the request is over its budget */
  async turn(): Promise<void> {
    this.check();
    await this.#turns.take(this);
    this.check();
  }

  /** Fails when the request is over its budget, even if the value never resolves. */
  async orRefused<Value>(value: Promise<Value>): Promise<Value> {
    return Promise.race([
      value,
      this.refused.then((error) => {
        throw error;
      }),
    ]);
  }

  /** Counts a value in the answer. @param bytes as JSON @throws DomainError TOO_EXPENSIVE */
  countValue(key: string | number, bytes: number): void {
    this.#countAnswer(FIELD_BYTES + (typeof key === 'string' ? key.length : 0) + bytes);
  }

  /** Counts objects in the answer. @throws DomainError TOO_EXPENSIVE */
  countObjects(count: number): void {
    this.#countAnswer(count * OBJECT_BYTES);
  }

  /** @throws DomainError TOO_EXPENSIVE */
  read<Row extends object>(statement: () => Promise<readonly Row[]>): Promise<readonly Row[]> {
    const result = this.#reading.then(async () => {
      this.check();
      const rows = await statement();
      this.#countRead(
        rows.length,
        rows.reduce((sum, row) => sum + sizeOfRow(row), 0),
      );
      return rows;
    });
    this.#reading = result.catch(() => undefined);
    return result;
  }

  /** @throws DomainError TOO_EXPENSIVE when the budget has fewer bytes left */
  expect(bytes: number): void {
    if (Math.max(this.#readBytes, this.#answerBytes) + bytes > BYTES_MAX) {
      throw this.#fail(TOO_LARGE());
    }
  }

  batch(run: () => void): void {
    this.#turns.afterAll(this, run);
  }

  #countAnswer(bytes: number): void {
    this.check();
    this.#answerBytes += bytes;
    if (this.#answerBytes > BYTES_MAX) {
      throw this.#fail(TOO_LARGE());
    }
    this.#grant(0);
  }

  #countRead(rows: number, bytes: number): void {
    this.check();
    this.#rows += rows;
    this.#readBytes += bytes;
    if (this.#rows > ROWS_MAX) {
      throw this.#fail(
        DomainError.tooExpensive(`One request may read at most ${ROWS_MAX} entries; ask for smaller pages.`),
      );
    }
    if (this.#readBytes > BYTES_MAX) {
      throw this.#fail(TOO_LARGE());
    }
    this.#grant(0);
  }

  #grant(ahead: number): void {
    while (this.#grantedBytes < this.#answerBytes + this.#readBytes + ahead) {
      if (this.#isReleased || !this.#pool.take(this.#caller, GRANT_BYTES)) {
        throw this.#fail(DomainError.tooManyRequests('Too many answers are under way; ask again in a moment.'));
      }
      this.#grantedBytes += GRANT_BYTES;
    }
  }

  #fail(error: DomainError): DomainError {
    this.#failure ??= error;
    this.#refused.resolve(this.#failure);
    return this.#failure;
  }
}

const TOO_LARGE = () =>
  DomainError.tooExpensive(
    `One answer may hold at most ${BYTES_MAX / MIB} MiB; ask for smaller pages or fewer fields.`,
  );

function sizeOfRow(row: object): number {
  let bytes = ROW_BYTES;
  for (const value of Object.values(row) as unknown[]) {
    bytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 0;
  }
  return bytes;
}
