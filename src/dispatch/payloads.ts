import type { ClaimedDelivery } from '../storage/statements.ts';

/** All large payloads of requests under way together; a larger one goes alone. */
const BYTES_MAX = 64 * 1_048_576;
/** Of one account: whose destinations answer slowly leaves the other half to others. */
const BYTES_PER_ACCOUNT_MAX = BYTES_MAX / 2;

interface Entry {
  readonly eventId: string;
  readonly accountId: string;
  readonly length: number;
  readonly payload: Promise<Buffer | undefined>;
  readonly load: () => void;
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
  /** Lent, in all and to each account that has any. */
  readonly #bytesOf = new Map<string, number>();
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
    delivery: ClaimedDelivery,
    use: (payload: Buffer | undefined) => Promise<Result>,
  ): Promise<Result> {
    if (delivery.payload !== null) {
      return use(delivery.payload);
    }
    const entry = this.#entries.get(delivery.eventId) ?? this.#add(delivery);
    entry.users += 1;
    try {
      return await use(await entry.payload);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) {
        this.#remove(entry);
      }
    }
  }

  #add({ eventId, accountId, payloadLength }: ClaimedDelivery): Entry {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const load = (): void => resolve(this.#load(eventId));
    const entry: Entry = { eventId, accountId, length: payloadLength, payload: promise, load, users: 0 };
    this.#entries.set(eventId, entry);
    this.#waiting.add(entry);
    this.#loadWaiting();
    return entry;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.eventId);
    if (!this.#waiting.delete(entry)) {
      this.#count(entry, -entry.length);
    }
    this.#loadWaiting();
  }

  #loadWaiting(): void {
    for (const entry of this.#waiting) {
      const own = this.#bytesOf.get(entry.accountId) ?? 0;
      if (own > 0 && own + entry.length > BYTES_PER_ACCOUNT_MAX) {
        continue;
      }
      // Smaller ones behind it must not pass for ever.
      if (this.#bytes > 0 && this.#bytes + entry.length > BYTES_MAX) {
        return;
      }
      this.#waiting.delete(entry);
      this.#count(entry, entry.length);
      entry.load();
    }
  }

  #count({ accountId }: Entry, bytes: number): void {
    this.#bytes += bytes;
    const own = (this.#bytesOf.get(accountId) ?? 0) + bytes;
    if (own > 0) {
      this.#bytesOf.set(accountId, own);
    } else {
      this.#bytesOf.delete(accountId);
    }
  }
}
