import type { ClaimedDelivery } from '../storage/statements.ts';

/** All large payloads of requests under way together; a larger one goes alone. */
const BYTES_MAX = 64 * 1_048_576;

interface Entry {
  readonly length: number;
  readonly payload: Promise<Buffer | undefined>;
  start: () => void;
  isLoaded: boolean;
  users: number;
}

/**
 * Lends large payloads to the requests that send them: one copy for all deliveries of an event, and so many bytes
 * at the same time. Small payloads come with their claims. Whoever finds no room waits for its turn; a lane that
 * waits holds up none that sends small payloads.
 */
export class Payloads {
  readonly #load: (eventId: string) => Promise<Buffer | undefined>;
  readonly #entries = new Map<string, Entry>();
  /** In the order in which they came. */
  readonly #waiting = new Set<Entry>();
  #bytes = 0;

  /** @param load reads a payload; what it rejects with is handed on to the borrowers */
  constructor(load: (eventId: string) => Promise<Buffer | undefined>) {
    this.#load = load;
  }

  /**
   * @param use sends the payload; it is `undefined` when the event was deleted meanwhile.
   * @returns what `use` returns
   */
  async lend<Result>(
    { eventId, payloadLength, payload }: ClaimedDelivery,
    use: (payload: Buffer | undefined) => Promise<Result>,
  ): Promise<Result> {
    if (payload !== null) {
      return use(payload);
    }
    const entry = this.#entries.get(eventId) ?? this.#add(eventId, payloadLength);
    entry.users += 1;
    try {
      return await use(await entry.payload);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) {
        this.#remove(eventId, entry);
      }
    }
  }

  #add(eventId: string, length: number): Entry {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const start = (): void => resolve(this.#load(eventId));
    const entry: Entry = { length, payload: promise, start, isLoaded: false, users: 0 };
    this.#entries.set(eventId, entry);
    this.#waiting.add(entry);
    this.#startWaiting();
    return entry;
  }

  #remove(eventId: string, entry: Entry): void {
    this.#entries.delete(eventId);
    this.#bytes -= entry.isLoaded ? entry.length : 0;
    this.#waiting.delete(entry);
    this.#startWaiting();
  }

  #startWaiting(): void {
    for (const entry of this.#waiting) {
      if (this.#bytes > 0 && this.#bytes + entry.length > BYTES_MAX) {
        return;
      }
      this.#waiting.delete(entry);
      entry.isLoaded = true;
      this.#bytes += entry.length;
      entry.start();
    }
  }
}
