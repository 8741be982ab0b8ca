export interface Expiring {
  expire(): void;
}

/**
 * One timer for everything that has the same time: what was added first is due first. The timer runs for the oldest
 * only, so that adding and removing cost no more than a Set does.
 */
export class Deadlines<Entry extends Expiring> {
  readonly #timeoutMs: number;
  readonly #dueAt = new Map<Entry, number>();
  #isTimed = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  entries(): Entry[] {
    return [...this.#dueAt.keys()];
  }

  add(entry: Entry): void {
    this.#dueAt.set(entry, performance.now() + this.#timeoutMs);
    if (!this.#isTimed) {
      this.#wakeIn(this.#timeoutMs);
    }
  }

  delete(entry: Entry): void {
    this.#dueAt.delete(entry);
  }

  #wakeIn(waitMs: number): void {
    this.#isTimed = true;
    setTimeout(() => this.#expireDue(), Math.ceil(waitMs)).unref();
  }

  #expireDue(): void {
    this.#isTimed = false;
    const now = performance.now();
    for (const [entry, dueAt] of this.#dueAt) {
      if (dueAt > now) {
        this.#wakeIn(dueAt - now);
        return;
      }
      this.#dueAt.delete(entry);
      entry.expire();
    }
  }
}
