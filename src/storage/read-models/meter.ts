/** Bounds what one request may read. Every statement of its reads goes through it. */
export interface Meter {
  /** Runs one statement, behind those before it. @throws DomainError when the request may read no more. */
  read<Row extends object>(statement: () => Promise<readonly Row[]>): Promise<readonly Row[]>;
  /** Asks before so many bytes are read. @throws DomainError when they are more than the request may read. */
  expect(bytes: number): void;
  /** Runs it when whatever is looked up in this turn has been asked for. */
  batch(run: () => void): void;
}

/** For the program itself. */
export const UNMETERED: Meter = {
  read: (statement) => statement(),
  expect: () => undefined,
  batch: (run) => void setImmediate(run),
};
