/**
 * Many byte strings as one parameter. A statement that writes a whole batch gets two parameters, however
 * large the batch is: the rows as JSON, and their bytes end to end, each found again by offset and length.
 */
export class PackedBytes {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** @returns the place as SQL's `substr` counts: from 1. */
  add(bytes: Buffer): [offset: number, length: number] {
    const offset = this.#length + 1;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    return [offset, bytes.length];
  }

  toBuffer(): Buffer {
    const [first] = this.#chunks;
    return first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#length);
  }
}
