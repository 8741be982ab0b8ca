import type { Transferable } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { ExchangeOutcome } from '../core/delivery.ts';
import { charactersOf, type DestinationSource, destinationOf, type MessageSource } from '../core/outgoing-request.ts';
import type { Egress } from './egress.ts';

/** What a sender thread is started with; the same for all destinations. */
export interface ThreadOptions {
  readonly userAgent: string;
  /** For the whole exchange, including the connection, unless a request has a timeout of its own. */
  readonly timeoutMs: number;
  readonly egress: Egress;
}

/** From the main thread to a sender thread, which answers with batches of outcomes. */
export type ToThread = MessageBatch<RequestContent> | 'close';

/** The body of the message is the payload. */
export interface RequestContent extends Omit<MessageSource, 'payload'> {
  readonly destination: Announcement;
  readonly sentAt: number;
  readonly timeoutMs?: number | undefined;
}
/** The body of the message is the response body. `undefined` when the request was aborted. */
export type OutcomeContent = Omit<ExchangeOutcome, 'responseBody'> | undefined;

export interface Message<Content> {
  readonly id: number;
  readonly content: Content;
  readonly body: Buffer | undefined;
}

/**
 * The messages from one thread to another of one turn of the event loop. Posting costs far more than the content does.
 * Bodies are packed into memory that is transferred: cloning a Buffer that was cut from Node's pool would copy the
 * whole pool. Bodies in shared memory stay where they are.
 */
export interface MessageBatch<Content> {
  readonly messages: readonly {
    readonly id: number;
    readonly content: Content;
    readonly body: PackedBody;
  }[];
  readonly bodies: ArrayBuffer;
}

/** The length of a body that is packed with the others, or a body in shared memory. */
type PackedBody = number | Uint8Array<SharedArrayBuffer> | undefined;

/** A batch of this size is posted at once. It exceeds this by its last message at most. */
const BATCH_BYTES_MAX = 1024 * 1024;

type Post<Content> = (batch: MessageBatch<Content>, transfer: Transferable[]) => void;

/** Collects messages, and posts them as one batch at the end of the event loop's turn or when the batch is full. */
export class MessageBatcher<Content> {
  readonly #post: Post<Content>;
  #messages: Message<Content>[] = [];
  #bytes = 0;
  #flushIsDue = false;

  constructor(post: Post<Content>) {
    this.#post = post;
  }

  /** @param contentBytes about the size of the content, if it is large */
  add(message: Message<Content>, contentBytes = 0): void {
    this.#messages.push(message);
    this.#bytes += contentBytes + packedLength(message.body);
    if (this.#bytes >= BATCH_BYTES_MAX) {
      this.flush();
    } else if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.#flushIsDue = false;
    if (this.#messages.length > 0) {
      const batch = pack(this.#messages);
      this.#messages = [];
      this.#bytes = 0;
      this.#post(batch, [batch.bodies]);
    }
  }
}

function packedLength(body: Buffer | undefined): number {
  return body === undefined || isShared(body) ? 0 : body.length;
}

function isShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

function pack<Content>(messages: readonly Message<Content>[]): MessageBatch<Content> {
  const bodies = new Uint8Array(messages.reduce((length, { body }) => length + packedLength(body), 0));
  let end = 0;
  const packed = messages.map(({ id, content, body }) => {
    if (body === undefined || isShared(body)) {
      return { id, content, body };
    }
    bodies.set(body, end);
    end += body.length;
    return { id, content, body: body.length };
  });
  return { messages: packed, bodies: bodies.buffer };
}

export function unpack<Content>({ messages, bodies }: MessageBatch<Content>): Message<Content>[] {
  let end = 0;
  return messages.map(({ id, content, body }) => {
    if (typeof body === 'number') {
      end += body;
      return { id, content, body: Buffer.from(bodies, end - body, body) };
    }
    return { id, content, body: body && Buffer.from(body.buffer, body.byteOffset, body.length) };
  });
}

/** Destinations that a thread keeps, and the size of all of them together. */
const DESTINATIONS_MAX = 1_024;
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** Names the destination of a request to a thread, which keeps destinations in numbered slots. */
export interface Announcement {
  readonly slot: number;
  /** The new content of the slot; `undefined` when the slot has it already. */
  readonly source: DestinationSource | undefined;
  /** Slots to clear. */
  readonly cleared: readonly number[];
}

const NONE: readonly number[] = [];

/**
 * The destinations that one thread knows, so that each version of a destination is posted once. The main thread alone
 * decides what the thread keeps and forgets; so both always agree.
 */
export class AnnouncedDestinations {
  readonly #known = new LRUCache<string, { readonly slot: number; readonly version: number }>({
    max: DESTINATIONS_MAX,
    maxSize: CHARACTERS_MAX,
    dispose: ({ slot }, _destinationId, reason) => {
      // A new version of a destination takes the slot of the former one.
      if (reason !== 'set') {
        this.#freeSlots.push(slot);
        this.#evicted.push(slot);
      }
    },
  });
  readonly #freeSlots: number[] = [];
  #evicted: number[] = [];
  #slots = 0;

  announce(source: DestinationSource): Announcement {
    const { destinationId, destinationVersion: version } = source;
    const known = this.#known.get(destinationId);
    if (known?.version === version) {
      return { slot: known.slot, source: undefined, cleared: NONE };
    }
    const slot = known?.slot ?? this.#freeSlots.pop() ?? this.#slots++;
    // The cache takes no entry that is larger than all of it, and no empty one.
    const size = Math.min(Math.max(charactersOf(source), 1), CHARACTERS_MAX);
    this.#known.set(destinationId, { slot, version }, { size });
    const cleared = this.#evicted;
    this.#evicted = [];
    return { slot, source: destinationOf(source), cleared };
  }
}
