import type { Holding } from './holding.ts';
import { Refusal } from './refusal.ts';

/** All small bodies together that arrive, or are here and wait for their answers. */
const BYTES_MAX = 64 * 1_048_576;

/**
 * Counts the bytes of small bodies as they arrive. They are not made to wait. When there are too many of them, the
 * one that has been arriving for longest is given up: an honest sender's is here within moments, so what is hit is
 * what somebody sends slowly. Bodies that are here whole stay; when there are none but those, the next is refused.
 */
export class SmallBodies {
  readonly #arriving = new Set<SmallBody>();
  #bytes = 0;

  begin(): Holding {
    const body = new SmallBody(
      (change) => this.#count(change),
      () => this.#arriving.delete(body),
    );
    this.#arriving.add(body);
    return body;
  }

  #count(change: number): void {
    this.#bytes += change;
    while (this.#bytes > BYTES_MAX) {
      const [oldest] = this.#arriving;
      if (oldest === undefined) {
        return;
      }
      oldest.free();
      oldest.onTakenBack(Refusal.unavailable());
    }
  }
}

class SmallBody implements Holding {
  onTakenBack: Holding['onTakenBack'] = () => {};
  readonly arrived: () => void;
  readonly #count: (change: number) => void;
  #bytes = 0;

  constructor(count: (change: number) => void, arrived: () => void) {
    this.#count = count;
    this.arrived = arrived;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#count(bytes);
  }

  free(): void {
    this.arrived();
    const bytes = this.#bytes;
    this.#bytes = 0;
    this.#count(-bytes);
  }
}
