interface Expiring {
  expire(): void;
}

/**
 * Ends entries when their time is over. Entries with the same timeout expire in the order in which they were added, so
 * they share one timer, and adding and removing cost no more than with a Set.
 */
export class Deadlines<Entry extends Expiring> {
  readonly #byTimeout = new Map<number, DeadlineList<Entry>>();
  readonly #entries = new Map<Entry, DeadlineList<Entry>>();

  entries(): Entry[] {
    return [...this.#entries.keys()];
  }

  add(entry: Entry, timeoutMs: number): void {
    let list = this.#byTimeout.get(timeoutMs);
    if (list === undefined) {
      list = new DeadlineList(timeoutMs, {
        expire: (expired) => this.#expire(expired),
        isUnused: () => this.#byTimeout.delete(timeoutMs),
      });
      this.#byTimeout.set(timeoutMs, list);
    }
    this.#entries.set(entry, list);
    list.add(entry);
  }

  delete(entry: Entry): void {
    this.#entries.get(entry)?.delete(entry);
    this.#entries.delete(entry);
  }

  #expire(entry: Entry): void {
    this.#entries.delete(entry);
    entry.expire();
  }
}

interface Listener<Entry> {
  readonly expire: (entry: Entry) => void;
  /** Nothing is left, not even a timer. */
  readonly isUnused: () => void;
}

/** Entries with the same timeout. The timer runs for the oldest only. */
class DeadlineList<Entry> {
  readonly #timeoutMs: number;
  readonly #listener: Listener<Entry>;
  readonly #dueAt = new Map<Entry, number>();
  #isTimed = false;

  constructor(timeoutMs: number, listener: Listener<Entry>) {
    this.#timeoutMs = timeoutMs;
    this.#listener = listener;
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
      this.#listener.expire(entry);
    }
    if (!this.#isTimed) {
      this.#listener.isUnused();
    }
  }
}
