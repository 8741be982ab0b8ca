/**
 * Memory of a fixed size for large payloads. All threads see it, so a message to a thread carries a payload without a
 * copy. It is reused, because V8 ignores shared memory when it decides to collect garbage: new memory for each payload
 * would pile up to several times the bound.
 */
export class SharedMemory {
  readonly #size: number;
  /** In the order of their positions. Two free ranges never touch. */
  readonly #free: FreeRange[];
  /** Created by the first payload that needs it. The system provides pages when they are written to. */
  #memory: SharedArrayBuffer | undefined;

  /** @param size in bytes */
  constructor(size: number) {
    this.#size = size;
    this.#free = [{ start: 0, end: size }];
  }

  /** @returns `undefined` when no free range is large enough */
  allocate(length: number): Buffer<SharedArrayBuffer> | undefined {
    const index = this.#free.findIndex(({ start, end }) => end - start >= length);
    const range = this.#free[index];
    if (range === undefined) {
      return undefined;
    }
    const { start } = range;
    range.start += length;
    if (range.start === range.end) {
      this.#free.splice(index, 1);
    }
    this.#memory ??= new SharedArrayBuffer(this.#size);
    return Buffer.from(this.#memory, start, length);
  }

  /** Nobody may read or write these bytes from now on. */
  free({ byteOffset: start, length }: Buffer<SharedArrayBuffer>): void {
    const end = start + length;
    const found = this.#free.findIndex((range) => range.start >= end);
    const index = found === -1 ? this.#free.length : found;
    const [before, after] = [this.#free[index - 1], this.#free[index]];
    const touchesBefore = before?.end === start;
    const touchesAfter = after?.start === end;
    if (touchesBefore && touchesAfter) {
      before.end = after.end;
      this.#free.splice(index, 1);
    } else if (touchesBefore) {
      before.end = end;
    } else if (touchesAfter) {
      after.start = start;
    } else {
      this.#free.splice(index, 0, { start, end });
    }
  }
}

interface FreeRange {
  start: number;
  end: number;
}
