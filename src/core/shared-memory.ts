/** Bounds of holes, so that what is given back joins its neighbours again. */
interface Hole {
  start: number;
  end: number;
}

/**
 * Memory of a fixed size for large payloads. Every thread sees it, so a message to a thread carries a payload without a
 * copy. It is used again and again: V8 does not count shared memory when it decides to collect garbage, so memory made
 * anew for each payload would pile up to several times the bound.
 */
export class SharedMemory {
  readonly #size: number;
  /** In the order of their places. */
  readonly #holes: Hole[];
  /** Made by the first payload that needs it. The system gives the pages as they are written to. */
  #memory: SharedArrayBuffer | undefined;

  /** @param size in bytes */
  constructor(size: number) {
    this.#size = size;
    this.#holes = [{ start: 0, end: size }];
  }

  /** @returns `undefined` when no hole is large enough */
  take(length: number): Buffer<SharedArrayBuffer> | undefined {
    const index = this.#holes.findIndex(({ start, end }) => end - start >= length);
    const hole = this.#holes[index];
    if (hole === undefined) {
      return undefined;
    }
    const { start } = hole;
    hole.start += length;
    if (hole.start === hole.end) {
      this.#holes.splice(index, 1);
    }
    this.#memory ??= new SharedArrayBuffer(this.#size);
    return Buffer.from(this.#memory, start, length);
  }

  /** Nobody may read or write these bytes from now on. */
  giveBack({ byteOffset: start, length }: Buffer<SharedArrayBuffer>): void {
    const end = start + length;
    const found = this.#holes.findIndex((hole) => hole.start >= end);
    const index = found === -1 ? this.#holes.length : found;
    const [before, after] = [this.#holes[index - 1], this.#holes[index]];
    const joinsBefore = before?.end === start;
    const joinsAfter = after?.start === end;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#holes.splice(index, 1);
    } else if (joinsBefore) {
      before.end = end;
    } else if (joinsAfter) {
      after.start = start;
    } else {
      this.#holes.splice(index, 0, { start, end });
    }
  }
}
