import type { Transferable } from 'node:worker_threads';

/** One of the things that travel together. */
export interface Piece<Content> {
  readonly id: number;
  readonly content: Content;
  readonly body: Buffer | undefined;
}

/**
 * What one thread has for another from one turn of its event loop. A message costs far more than what is in
 * it. The bodies are packed into memory that changes hands: cloning a Buffer that was cut from Node's pool
 * would copy the whole pool.
 */
export interface Parcel<Content> {
  readonly pieces: readonly {
    readonly id: number;
    readonly content: Content;
    readonly bodyLength: number | undefined;
  }[];
  readonly bodies: ArrayBuffer;
}

type Post<Content> = (parcel: Parcel<Content>, transfer: Transferable[]) => void;

/** Gathers pieces, and posts them in one parcel when the event loop has come round. */
export class Outbox<Content> {
  readonly #post: Post<Content>;
  #pieces: Piece<Content>[] = [];

  constructor(post: Post<Content>) {
    this.#post = post;
  }

  add(piece: Piece<Content>): void {
    this.#pieces.push(piece);
    if (this.#pieces.length === 1) {
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    if (this.#pieces.length > 0) {
      const parcel = pack(this.#pieces);
      this.#pieces = [];
      this.#post(parcel, [parcel.bodies]);
    }
  }

  clear(): void {
    this.#pieces = [];
  }
}

function pack<Content>(pieces: readonly Piece<Content>[]): Parcel<Content> {
  const bodies = new Uint8Array(pieces.reduce((length, { body }) => length + (body?.length ?? 0), 0));
  let end = 0;
  for (const { body } of pieces) {
    if (body !== undefined) {
      bodies.set(body, end);
      end += body.length;
    }
  }
  return {
    pieces: pieces.map(({ id, content, body }) => ({ id, content, bodyLength: body?.length })),
    bodies: bodies.buffer,
  };
}

export function unpack<Content>({ pieces, bodies }: Parcel<Content>): Piece<Content>[] {
  let end = 0;
  return pieces.map(({ id, content, bodyLength }) => {
    end += bodyLength ?? 0;
    return {
      id,
      content,
      body: bodyLength === undefined ? undefined : Buffer.from(bodies, end - bodyLength, bodyLength),
    };
  });
}
