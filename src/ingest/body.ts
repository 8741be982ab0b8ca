import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { SharedMemory } from '../core/shared-memory.ts';
import { LARGE_BYTES_MAX, LargeBodies, SmallBodies } from './body-memory.ts';
import { checkPayload, PayloadCheck } from './payload-check.ts';
import { HttpError } from '../access/http-error.ts';

/** Larger bodies wait for room, and their senders must be known. */
const SMALL_BYTES_MAX = 256 * 1_024;
const NOTHING: Buffer = Buffer.alloc(0);

export interface Body {
  readonly bytes: Buffer;
  /** Must be called when the bytes are not needed any more. */
  free(): void;
}

/** Who sends a body, as it has to be known for a large one. */
export interface Sender {
  readonly token: string;
  readonly isKnown: () => Promise<boolean>;
}

interface Arrival {
  readonly request: IncomingMessage;
  readonly sender: Sender;
  readonly decompress: Decompress | undefined;
  /** Of what is not compressed. */
  readonly check: PayloadCheck | undefined;
}

/** Reads, decompresses and checks the bodies of events, within so much memory for all of them together. */
export class Bodies {
  readonly #maxBytes: number;
  readonly #smallMaxBytes: number;
  readonly #small = new SmallBodies();
  readonly #large = new LargeBodies();
  readonly #memory = new SharedMemory(LARGE_BYTES_MAX);

  /** @param maxBytes of one body, before and after decompression */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#smallMaxBytes = Math.min(SMALL_BYTES_MAX, maxBytes);
  }

  /**
   * @throws HttpError 413 as soon as the limit is passed; 400 for what is no payload, or in an encoding that is unknown
   * or broken; 401 for a large body of a sender who is not known; 503 when there is no room for it.
   */
  async read(request: IncomingMessage, sender: Sender): Promise<Body> {
    const decompress = decompressorOf(request.headers['content-encoding']);
    const check = decompress === undefined ? new PayloadCheck() : undefined;
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > this.#maxBytes) {
      throw HttpError.tooLarge(this.#maxBytes);
    }
    const arrival = { request, sender, decompress, check };
    return declared > this.#smallMaxBytes ? this.#readLarge(arrival, declared) : this.#readSmall(arrival);
  }

  async #readSmall(arrival: Arrival): Promise<Body> {
    const { request, check, decompress } = arrival;
    const holding = this.#small.begin();
    try {
      const chunks: Buffer[] = [];
      const take = (chunk: Buffer): void => void chunks.push(chunk);
      const isWhole = await receive(request, { holding, take, check, maxBytes: this.#smallMaxBytes });
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (isWhole && decompress === undefined) {
        check?.end(bytes);
        return { bytes, free: () => holding.free() };
      }
      const body = await (isWhole
        ? this.#unpackSmall(arrival, bytes)
        : this.#readLarge(arrival, this.#maxBytes, bytes));
      holding.free();
      return body;
    } catch (error) {
      holding.free();
      throw error;
    }
  }

  /** @param beginning what has come of it, when its length was not declared */
  async #readLarge(arrival: Arrival, maxBytes: number, beginning = NOTHING): Promise<Body> {
    const { request, decompress, check } = arrival;
    const room = await this.#roomFor(arrival, maxBytes + (decompress === undefined ? 0 : this.#unpackingBytes));
    // The system gives memory as it is written to.
    const target = this.#memory.take(maxBytes) ?? Buffer.allocUnsafeSlow(maxBytes);
    const release = (): void => {
      this.#release(target);
      room.free();
    };
    try {
      let length = 0;
      const take = (chunk: Buffer): void => {
        length += chunk.copy(target, length);
      };
      take(beginning);
      room.add(length);
      if (!(await receive(request, { holding: room, take, check, maxBytes: maxBytes - length }))) {
        throw HttpError.tooLarge(this.#maxBytes);
      }
      const bytes = target.subarray(0, length);
      if (decompress !== undefined) {
        return await this.#unpackLarge(bytes, decompress, room);
      }
      check?.end(bytes);
      return { bytes, free: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A few bytes may become many. */
  async #unpackSmall(arrival: Arrival, packed: Buffer): Promise<Body> {
    const decompress = arrival.decompress as Decompress;
    const bytes = await decompress(packed, this.#smallMaxBytes);
    if (bytes === undefined) {
      const room = await this.#roomFor(arrival, this.#unpackingBytes);
      room.arrived();
      return this.#unpackLarge(packed, decompress, room);
    }
    const holding = this.#small.begin();
    holding.arrived();
    holding.add(bytes.length);
    return checked(bytes, holding);
  }

  async #unpackLarge(packed: Buffer, decompress: Decompress, room: Holding): Promise<Body> {
    const bytes = await decompress(packed, this.#maxBytes).catch((error: unknown) => {
      room.free();
      throw error;
    });
    if (bytes === undefined) {
      room.free();
      throw HttpError.tooLarge(this.#maxBytes);
    }
    return checked(bytes, room);
  }

  #release(target: Buffer): void {
    const { buffer } = target;
    if (buffer instanceof SharedArrayBuffer) {
      this.#memory.giveBack(target as Buffer<SharedArrayBuffer>);
    } else if (buffer instanceof ArrayBuffer) {
      // At once, and not when the garbage is collected: a few large bodies would add up.
      buffer.transfer(0);
    }
  }

  /** What is unpacked comes in pieces, which are put together at the end. */
  get #unpackingBytes(): number {
    return 2 * this.#maxBytes;
  }

  async #roomFor({ request, sender }: Arrival, bytes: number): Promise<Holding> {
    if (this.#smallMaxBytes === this.#maxBytes) {
      throw HttpError.tooLarge(this.#maxBytes);
    }
    if (!(await sender.isKnown())) {
      throw HttpError.unauthenticated();
    }
    const gone = new AbortController();
    const leave = (): void => gone.abort();
    request.once('aborted', leave);
    try {
      return await this.#large.take({ owner: sender.token, bytes }, gone.signal);
    } finally {
      request.off('aborted', leave);
    }
  }
}

async function checked(bytes: Buffer, holding: Holding): Promise<Body> {
  try {
    await checkPayload(bytes);
  } catch (error) {
    holding.free();
    throw error;
  }
  return { bytes, free: () => holding.free() };
}

export interface Reception {
  readonly holding: Holding;
  /** Gets the bytes as they come. */
  readonly take: (chunk: Buffer) => void;
  /** Absent where what comes is not the payload itself. */
  readonly check: PayloadCheck | undefined;
  readonly maxBytes: number;
}

/**
 * Reads a body that is not longer than so many bytes.
 *
 * @returns false for one that is longer, as soon as that is known; the request is paused then.
 * @throws HttpError as soon as the check knows, or when the memory is taken back
 */
export function receive(request: IncomingMessage, { holding, take, check, maxBytes }: Reception): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let length = 0;
    const stop = (): void => {
      request.off('data', onData).off('end', onEnd).off('aborted', onAborted);
      holding.onTakenBack = () => {};
    };
    const fail = (cause: unknown): void => {
      stop();
      reject(cause);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      holding.add(chunk.length);
      take(chunk);
      try {
        check?.write(chunk);
      } catch (error) {
        fail(error);
        return;
      }
      if (length > maxBytes) {
        request.pause();
        stop();
        resolve(false);
      }
    };
    const onEnd = (): void => {
      holding.onTakenBack = () => {};
      holding.arrived();
      resolve(true);
    };
    // The connection is gone: nobody reads the answer.
    const onAborted = (): void => fail(HttpError.invalid('The body ended early.'));
    if (request.destroyed && !request.complete) {
      onAborted();
      return;
    }
    holding.onTakenBack = fail;
    request.on('data', onData).once('end', onEnd).once('aborted', onAborted).resume();
  });
}

/** Memory that is held for one body. */
export interface Holding {
  /** Is told why, when the memory is taken back before the body is here. */
  onTakenBack: (cause: HttpError) => void;
  /** So many bytes of the body have come. */
  add(bytes: number): void;
  /** The body is here whole: it is not taken back any more. */
  arrived(): void;
  /** Must be called in the end. May be called again. */
  free(): void;
}

/**
 * @returns `undefined` when the bytes would be more than `maxBytes`
 * @throws HttpError 400 for bytes that are broken
 */
export type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer | undefined>;

const DECOMPRESSORS = { gzip: promisify(gunzip), 'x-gzip': promisify(gunzip), br: promisify(brotliDecompress) };

/**
 * @param header the request's content encoding
 * @returns `undefined` for bytes that are sent as they are
 * @throws HttpError 400 for an encoding that is unknown
 */
export function decompressorOf(header: string | undefined): Decompress | undefined {
  const encoding = header?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') {
    return undefined;
  }
  if (!Object.hasOwn(DECOMPRESSORS, encoding)) {
    throw HttpError.invalid('The content encoding must be gzip, br or identity.');
  }
  return async (bytes, maxBytes) => {
    try {
      return await DECOMPRESSORS[encoding as keyof typeof DECOMPRESSORS](bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        return undefined;
      }
      throw HttpError.invalid(`The body is not valid ${encoding} data.`);
    }
  };
}
