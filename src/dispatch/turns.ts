/** Lets those who have long work to do in, one in each round of the event loop, so that others come in between. */
export class Turns {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) {
        setImmediate(() => this.#admit());
      }
    });
  }

  #admit(): void {
    this.#waiting[0]?.();
    this.#waiting.shift();
    if (this.#waiting.length > 0) {
      setImmediate(() => this.#admit());
    }
  }
}
