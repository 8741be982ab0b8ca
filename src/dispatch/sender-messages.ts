import type { Transferable } from 'node:worker_threads';
import type { ExchangeOutcome } from '../core/delivery.ts';
import type { DestinationSource, MessageSource } from '../core/outgoing-request.ts';
import type { Egress } from './egress.ts';

/** What a thread that sends is started with. */
export interface ThreadOptions {
  readonly userAgent: string;
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  readonly egress: Egress;
}

/** What a thread that sends is told, in batches; it answers with batches of outcomes. */
export type Order = MessageBatch<RequestContent> | 'close';

/** The payload is the message's body. */
export interface RequestContent extends Omit<MessageSource, 'payload'> {
  readonly destination: Announcement;
  readonly sentAt: number;
}
/** `undefined` when the request was broken off. */
export type OutcomeContent = Omit<ExchangeOutcome, 'responseBody'> | undefined;

/** A batch with so much in it goes at once, so that no message is larger by more than its last message. */
const BATCH_BYTES_MAX = 1024 * 1024;

/** One of the things that travel together. */
export interface Message<Content> {
  readonly id: number;
  readonly content: Content;
  readonly body: Buffer | undefined;
}

/** A body that is packed with others, by its length, or one that all threads see. */
type PackedBody = number | Uint8Array<SharedArrayBuffer> | undefined;

/**
 * What one thread has for another from one turn of its event loop. A message costs far more than what is in
 * it. The bodies are packed into memory that changes hands: cloning a Buffer that was cut from Node's pool
 * would copy the whole pool. Those in shared memory stay where they are.
 */
export interface MessageBatch<Content> {
  readonly messages: readonly {
    readonly id: number;
    readonly content: Content;
    readonly body: PackedBody;
  }[];
  readonly bodies: ArrayBuffer;
}

type Post<Content> = (batch: MessageBatch<Content>, transfer: Transferable[]) => void;

/** Gathers messages, and posts them in one batch when the event loop has come round, or when it is full. */
export class MessageBatcher<Content> {
  readonly #post: Post<Content>;
  #messages: Message<Content>[] = [];
  #bytes = 0;
  #flushIsDue = false;

  constructor(post: Post<Content>) {
    this.#post = post;
  }

  /** @param contentBytes about how much the content takes, where that is much */
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
  return body === undefined || areShared(body) ? 0 : body.length;
}

function areShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

function pack<Content>(messages: readonly Message<Content>[]): MessageBatch<Content> {
  const bodies = new Uint8Array(messages.reduce((length, { body }) => length + packedLength(body), 0));
  let end = 0;
  const packed = messages.map(({ id, content, body }) => {
    if (body === undefined || areShared(body)) {
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

/** How many destinations a thread is expected to know, and how much of them. */
const DESTINATIONS_MAX = 1_024;
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** How a request names its destination to a thread. */
export interface Announcement {
  readonly slot: number;
  /** What the slot holds from now on; not told again. */
  readonly source: DestinationSource | undefined;
  /** What is not to be kept any more. */
  readonly emptied: readonly number[];
}

interface Entry {
  readonly slot: number;
  readonly version: number;
  readonly characters: number;
}

const NONE: readonly number[] = [];

/**
 * What one thread knows of destinations, in slots of a bounded number: each version of a destination travels once, and
 * only what was not asked for longest is dropped. Kept on the side that tells, so that both are always of one mind.
 */
export class AnnouncedDestinations {
  /** The one used last is the last. */
  readonly #entries = new Map<string, Entry>();
  readonly #freeSlots: number[] = [];
  #characters = 0;
  #slots = 0;

  tell(source: DestinationSource): Announcement {
    const known = this.#entries.get(source.destinationId);
    if (known !== undefined) {
      this.#entries.delete(source.destinationId);
      if (known.version === source.destinationVersion) {
        this.#entries.set(source.destinationId, known);
        return { slot: known.slot, source: undefined, emptied: NONE };
      }
      this.#free(known);
    }
    return this.#tellNew(source);
  }

  #tellNew(source: DestinationSource): Announcement {
    const { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets } = source;
    const characters = charactersOf(source);
    const emptied = this.#makeRoom(characters);
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    this.#characters += characters;
    this.#entries.set(destinationId, { slot, version: destinationVersion, characters });
    return {
      slot,
      source: { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets },
      emptied: emptied.filter((other) => other !== slot),
    };
  }

  #makeRoom(characters: number): number[] {
    const emptied: number[] = [];
    for (const [destinationId, entry] of this.#entries) {
      if (this.#entries.size < DESTINATIONS_MAX && this.#characters + characters <= CHARACTERS_MAX) {
        break;
      }
      this.#entries.delete(destinationId);
      this.#free(entry);
      emptied.push(entry.slot);
    }
    return emptied;
  }

  #free({ slot, characters }: Entry): void {
    this.#freeSlots.push(slot);
    this.#characters -= characters;
  }
}

/** About how much of it there is, in the memory of a thread and in a message. */
export function charactersOf({ url, headers, signingSecrets }: DestinationSource): number {
  const texts = [url, headers.flat(2), signingSecrets.map(({ secret }) => secret)].flat();
  return texts.reduce((length, text) => length + text.length, 0);
}
