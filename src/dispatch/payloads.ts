import { SharedMemory } from '../core/shared-memory.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';

/** All large payloads of requests under way together. A larger one is sent while no other large one is. */
const BYTES_MAX = 64 * 1_048_576;
/** For one account. Its slow destinations leave the other half to other accounts. */
const BYTES_PER_ACCOUNT_MAX = BYTES_MAX / 2;

/** Reads the payload of an event into memory of its size. @returns false when the event was deleted */
export type LoadPayload = (eventId: string, target: Buffer) => Promise<boolean>;

/**
 * Lends large payloads to the requests that send them. All deliveries of an event share one copy, and the total size
 * is bounded. Small payloads come with their claims. A delivery that finds no memory waits, without holding up lanes
 * that send small payloads.
 */
export class Payloads {
  readonly #load: LoadPayload;
  readonly #memory = new SharedMemory(BYTES_MAX);
  readonly #entries = new Map<string, Entry>();
  /** Entries without memory, in the order of their arrival. */
  readonly #waiting = new Set<Entry>();
  /** By account. */
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  /** @param load its rejections are passed on to the callers of `lend` */
  constructor(load: LoadPayload) {
    this.#load = load;
  }

  /**
   * @param use sends the payload, which is `undefined` if the event was deleted meanwhile. Once `use` has settled, the
   * memory may hold another payload.
   * @returns the result of `use`
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
    const entry: Entry = { eventId, accountId, length, payload, resolve, memory: undefined, users: 0 };
    this.#entries.set(eventId, entry);
    this.#waiting.add(entry);
    this.#loadWaiting();
    return entry;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.eventId);
    if (!this.#waiting.delete(entry)) {
      this.#count(entry, -entry.length);
      if (entry.memory !== undefined && entry.length <= BYTES_MAX) {
        this.#memory.free(entry.memory);
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
      const memory = this.#allocate(entry);
      // Stops at the first that does not fit. Otherwise smaller ones could overtake it for ever.
      if (memory === undefined) {
        return;
      }
      this.#waiting.delete(entry);
      this.#count(entry, entry.length);
      entry.memory = memory;
      entry.resolve(this.#loadInto(entry.eventId, memory));
    }
  }

  #allocate({ length }: Entry): Buffer<SharedArrayBuffer> | undefined {
    if (length <= BYTES_MAX) {
      return this.#memory.allocate(length);
    }
    return this.#bytes === 0 ? Buffer.from(new SharedArrayBuffer(length)) : undefined;
  }

  async #loadInto(eventId: string, memory: Buffer<SharedArrayBuffer>): Promise<Buffer | undefined> {
    return (await this.#load(eventId, memory)) ? memory : undefined;
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

interface Entry {
  readonly eventId: string;
  readonly accountId: string;
  readonly length: number;
  readonly payload: Promise<Buffer | undefined>;
  readonly resolve: (payload: Promise<Buffer | undefined>) => void;
  /** Set once there is enough of it. */
  memory: Buffer<SharedArrayBuffer> | undefined;
  users: number;
}
