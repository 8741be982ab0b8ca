/** A map that forgets what was not used for longest when it is full, so that strangers cannot fill the memory. */
export class RecentMap<Key, Value> {
  readonly #sizeMax: number;
  readonly #entries = new Map<Key, Value>();

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Counts as a use. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.set(key, value);
    }
    return value;
  }

  set(key: Key, value: Value): void {
    // A Map keeps the order in which keys came.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#sizeMax) {
      this.#entries.delete(this.#entries.keys().next().value as Key);
    }
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }
}
