import type { Transferable } from 'node:worker_threads';

/** A parcel with so much in it goes at once, so that no message is larger by more than its last piece. */
const PARCEL_BYTES_MAX = 1024 * 1024;

/** One of the things that travel together. */
export interface Piece<Content> {
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
export interface Parcel<Content> {
  readonly pieces: readonly {
    readonly id: number;
    readonly content: Content;
    readonly body: PackedBody;
  }[];
  readonly bodies: ArrayBuffer;
}

type Post<Content> = (parcel: Parcel<Content>, transfer: Transferable[]) => void;

/** Gathers pieces, and posts them in one parcel when the event loop has come round, or when it is full. */
export class Outbox<Content> {
  readonly #post: Post<Content>;
  #pieces: Piece<Content>[] = [];
  #bytes = 0;
  #flushIsDue = false;

  constructor(post: Post<Content>) {
    this.#post = post;
  }

  /** @param contentBytes about how much the content takes, where that is much */
  add(piece: Piece<Content>, contentBytes = 0): void {
    this.#pieces.push(piece);
    this.#bytes += contentBytes + packedLength(piece.body);
    if (this.#bytes >= PARCEL_BYTES_MAX) {
      this.flush();
    } else if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.#flushIsDue = false;
    if (this.#pieces.length > 0) {
      const parcel = pack(this.#pieces);
      this.#pieces = [];
      this.#bytes = 0;
      this.#post(parcel, [parcel.bodies]);
    }
  }
}

function packedLength(body: Buffer | undefined): number {
  return body === undefined || areShared(body) ? 0 : body.length;
}

function areShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

function pack<Content>(pieces: readonly Piece<Content>[]): Parcel<Content> {
  const bodies = new Uint8Array(pieces.reduce((length, { body }) => length + packedLength(body), 0));
  let end = 0;
  const packed = pieces.map(({ id, content, body }) => {
    if (body === undefined || areShared(body)) {
      return { id, content, body };
    }
    bodies.set(body, end);
    end += body.length;
    return { id, content, body: body.length };
  });
  return { pieces: packed, bodies: bodies.buffer };
}

export function unpack<Content>({ pieces, bodies }: Parcel<Content>): Piece<Content>[] {
  let end = 0;
  return pieces.map(({ id, content, body }) => {
    if (typeof body === 'number') {
      end += body;
      return { id, content, body: Buffer.from(bodies, end - body, body) };
    }
    return { id, content, body: body && Buffer.from(body.buffer, body.byteOffset, body.length) };
  });
}
