/**
 * Stops what was started, in reverse order. Each part is stopped once, even when another fails to stop. Node 22 has no
 * AsyncDisposableStack.
 */
export class ReleaseStack {
  #releases: (() => Promise<void> | void)[] = [];
  #released: Promise<void> | undefined;

  add(release: () => Promise<void> | void): void {
    this.#releases.push(release);
  }

  /** Concurrent and later calls share one release. */
  release(): Promise<void> {
    this.#released ??= this.#releaseAll();
    return this.#released;
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const release of this.#releases.toReversed()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, 'Some parts did not stop cleanly.');
    }
  }
}
