import { SharedMemory } from '../core/shared-memory.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';

/** All large payloads of requests under way together; a larger one goes alone. */
const BYTES_MAX = 64 * 1_048_576;
/** Of one account: its slow destinations leave the other half to others. */
const BYTES_PER_ACCOUNT_MAX = BYTES_MAX / 2;

interface Entry {
  readonly eventId: string;
  readonly accountId: string;
  readonly length: number;
  readonly payload: Promise<Buffer | undefined>;
  readonly resolve: (payload: Promise<Buffer | undefined>) => void;
  /** Set once there is room. */
  room: Buffer<SharedArrayBuffer> | undefined;
  users: number;
}

/** Reads the payload of an event into memory that has room for it. @returns false when it was deleted */
export type LoadPayload = (eventId: string, target: Buffer) => Promise<boolean>;

/**
 * Lends large payloads to the requests that send them: one copy for all deliveries of an event, and so many bytes
 * at the same time. Small payloads come with their claims. A delivery that finds no room waits for its turn; a lane
 * that waits holds up none that sends small payloads.
 */
export class Payloads {
  readonly #load: LoadPayload;
  readonly #memory = new SharedMemory(BYTES_MAX);
  readonly #entries = new Map<string, Entry>();
  /** In the order in which they came. */
  readonly #waiting = new Set<Entry>();
  /** Lent, in all and to each account that has any. */
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  /** @param load what it rejects with is handed on to the borrowers */
  constructor(load: LoadPayload) {
    this.#load = load;
  }

  /**
   * @param use sends the payload; it is `undefined` when the event was deleted meanwhile. Once `use` has settled,
   * the memory may hold another payload.
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

  #add({ eventId, accountId, payloadLength: length }: ClaimedDelivery): Entry {
    const { promise: payload, resolve } = Promise.withResolvers<Buffer | undefined>();
    const entry: Entry = { eventId, accountId, length, payload, resolve, room: undefined, users: 0 };
    this.#entries.set(eventId, entry);
    this.#waiting.add(entry);
    this.#loadWaiting();
    return entry;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.eventId);
    if (!this.#waiting.delete(entry)) {
      this.#count(entry, -entry.length);
      if (entry.room !== undefined && entry.length <= BYTES_MAX) {
        this.#memory.giveBack(entry.room);
      }
    }
    this.#loadWaiting();
  }

  #loadWaiting(): void {
    for (const entry of this.#waiting) {
      const own = this.#bytesOf.get(entry.accountId) ?? 0;
      if (own > 0 && own + entry.length > BYTES_PER_ACCOUNT_MAX) {
        continue;
      }
      const room = this.#roomFor(entry);
      // Smaller ones behind it must not pass for ever.
      if (room === undefined) {
        return;
      }
      this.#waiting.delete(entry);
      this.#count(entry, entry.length);
      entry.room = room;
      entry.resolve(this.#loadInto(entry.eventId, room));
    }
  }

  #roomFor({ length }: Entry): Buffer<SharedArrayBuffer> | undefined {
    if (length <= BYTES_MAX) {
      return this.#memory.take(length);
    }
    return this.#bytes === 0 ? Buffer.from(new SharedArrayBuffer(length)) : undefined;
  }

  async #loadInto(eventId: string, room: Buffer<SharedArrayBuffer>): Promise<Buffer | undefined> {
    return (await this.#load(eventId, room)) ? room : undefined;
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
