import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, type ZlibOptions } from 'node:zlib';
import { HttpError } from '../access/http-error.ts';
import { SharedMemory } from '../core/shared-memory.ts';
import { LARGE_BYTES_TOTAL_MAX, LargeBodies, type Reservation, SmallBodies } from './body-memory.ts';
import { checkPayload, PayloadCheck } from './payload-check.ts';

/** Larger bodies need a sender with a valid token, and may have to wait for memory. */
const SMALL_BYTES_MAX = 256 * 1_024;
const EMPTY: Buffer = Buffer.alloc(0);

export interface Body {
  readonly bytes: Buffer;
  /** Must be called when the bytes are no longer needed. */
  release(): void;
}

export interface Sender {
  readonly token: string;
  readonly isKnown: () => Promise<boolean>;
}

interface IncomingBody {
  readonly request: IncomingMessage;
  readonly sender: Sender;
  readonly decompress: Decompress | undefined;
  /** `undefined` for compressed bodies: they are checked after decompression. */
  readonly check: PayloadCheck | undefined;
}

/** Reads, decompresses and checks the bodies of events. Bounds the memory that all of them use together. */
export class Bodies {
  readonly #maxBytes: number;
  readonly #smallMaxBytes: number;
  readonly #small = new SmallBodies();
  readonly #large = new LargeBodies();
  readonly #memory = new SharedMemory(LARGE_BYTES_TOTAL_MAX);

  /** @param maxBytes of one body, before and after decompression */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#smallMaxBytes = Math.min(SMALL_BYTES_MAX, maxBytes);
  }

  /**
   * @throws HttpError 413 as soon as the limit is exceeded; 400 for an invalid payload or encoding; 401 for a large body
   * without a valid token; 503 when there is no memory for it
   */
  async read(request: IncomingMessage, sender: Sender): Promise<Body> {
    const decompress = decompressorOf(request.headers['content-encoding']);
    const check = decompress === undefined ? new PayloadCheck() : undefined;
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > this.#maxBytes) {
      throw HttpError.tooLarge(this.#maxBytes);
    }
    const incoming = { request, sender, decompress, check };
    return declared > this.#smallMaxBytes ? this.#readLarge(incoming, declared) : this.#readSmall(incoming);
  }

  async #readSmall(incoming: IncomingBody): Promise<Body> {
    const { request, check, decompress } = incoming;
    const reservation = this.#small.reserve();
    try {
      const chunks: Buffer[] = [];
      const take = (chunk: Buffer): void => void chunks.push(chunk);
      const isComplete = await receive(request, { reservation, take, check, maxBytes: this.#smallMaxBytes });
      const [first = EMPTY, ...rest] = chunks;
      const bytes = rest.length === 0 ? first : Buffer.concat(chunks);
      if (isComplete && decompress === undefined) {
        check?.end(bytes);
        return { bytes, release: () => reservation.release() };
      }
      const body = await (isComplete && decompress !== undefined
        ? this.#decompressSmall(incoming, decompress, bytes)
        : this.#readLarge(incoming, this.#maxBytes, bytes));
      reservation.release();
      return body;
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  /** @param beginning the part that has already arrived of a body without Content-Length */
  async #readLarge(incoming: IncomingBody, maxBytes: number, beginning = EMPTY): Promise<Body> {
    const { request, decompress, check } = incoming;
    const reservation = await this.#reserve(incoming, maxBytes + (decompress ? this.#decompressionBytes : 0));
    // The operating system assigns memory only when it is written to.
    const target = this.#memory.allocate(maxBytes) ?? Buffer.allocUnsafeSlow(maxBytes);
    const release = (): void => {
      this.#release(target);
      reservation.release();
    };
    try {
      let length = 0;
      const take = (chunk: Buffer): void => {
        length += chunk.copy(target, length);
      };
      take(beginning);
      reservation.add(length);
      if (!(await receive(request, { reservation, take, check, maxBytes: maxBytes - length }))) {
        throw HttpError.tooLarge(this.#maxBytes);
      }
      const bytes = target.subarray(0, length);
      if (decompress !== undefined) {
        return await this.#decompressLarge(bytes, decompress, reservation);
      }
      check?.end(bytes);
      return { bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A small compressed body may become a large one. */
  async #decompressSmall(incoming: IncomingBody, decompress: Decompress, compressed: Buffer): Promise<Body> {
    const bytes = await decompress(compressed, this.#smallMaxBytes);
    if (bytes === undefined) {
      const large = await this.#reserve(incoming, this.#decompressionBytes);
      large.complete();
      return this.#decompressLarge(compressed, decompress, large);
    }
    const small = this.#small.reserve();
    small.complete();
    small.add(bytes.length);
    return checked(bytes, small);
  }

  async #decompressLarge(compressed: Buffer, decompress: Decompress, reservation: Reservation): Promise<Body> {
    const bytes = await decompress(compressed, this.#maxBytes).catch((error: unknown) => {
      reservation.release();
      throw error;
    });
    if (bytes === undefined) {
      reservation.release();
      throw HttpError.tooLarge(this.#maxBytes);
    }
    return checked(bytes, reservation);
  }

  #release(target: Buffer): void {
    const { buffer } = target;
    if (buffer instanceof SharedArrayBuffer) {
      this.#memory.free(target as Buffer<SharedArrayBuffer>);
    } else if (buffer instanceof ArrayBuffer) {
      // At once: until the next garbage collection, a few large bodies would add up.
      buffer.transfer(0);
    }
  }

  /** zlib collects chunks and concatenates them at the end. */
  get #decompressionBytes(): number {
    return 2 * this.#maxBytes;
  }

  async #reserve({ request, sender }: IncomingBody, bytes: number): Promise<Reservation> {
    if (this.#smallMaxBytes === this.#maxBytes) {
      throw HttpError.tooLarge(this.#maxBytes);
    }
    if (!(await sender.isKnown())) {
      throw HttpError.unauthenticated();
    }
    const disconnected = new AbortController();
    const abort = (): void => disconnected.abort();
    request.once('aborted', abort);
    try {
      return await this.#large.reserve({ owner: sender.token, bytes }, disconnected.signal);
    } finally {
      request.off('aborted', abort);
    }
  }
}

async function checked(bytes: Buffer, reservation: Reservation): Promise<Body> {
  try {
    await checkPayload(bytes);
  } catch (error) {
    reservation.release();
    throw error;
  }
  return { bytes, release: () => reservation.release() };
}

interface Reception {
  readonly reservation: Reservation;
  /** Gets each chunk as it arrives. */
  readonly take: (chunk: Buffer) => void;
  /** `undefined` for compressed bodies. */
  readonly check: PayloadCheck | undefined;
  readonly maxBytes: number;
}

/**
 * Reads a body of at most `maxBytes`. A library such as raw-body cannot stop at the first invalid byte, nor give the
 * memory back before the body is complete.
 *
 * @returns false as soon as the body is longer; the request is then paused
 * @throws HttpError as soon as the check fails, or when the reservation is revoked
 */
function receive(request: IncomingMessage, { reservation, take, check, maxBytes }: Reception): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let length = 0;
    const stop = (): void => {
      request.off('data', onData).off('end', onEnd).off('aborted', onAborted);
      reservation.onRevoked = () => {};
    };
    const fail = (cause: unknown): void => {
      stop();
      reject(cause);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      reservation.add(chunk.length);
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
      reservation.onRevoked = () => {};
      reservation.complete();
      resolve(true);
    };
    // The connection is closed: nobody reads the answer.
    const onAborted = (): void => fail(HttpError.invalid('The body ended early.'));
    if (request.destroyed && !request.complete) {
      onAborted();
      return;
    }
    reservation.onRevoked = fail;
    request.on('data', onData).once('end', onEnd).once('aborted', onAborted).resume();
  });
}

/**
 * @returns `undefined` when the result would be longer than `maxBytes`
 * @throws HttpError 400 for invalid data
 */
type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer | undefined>;

const DECOMPRESSORS: ReadonlyMap<string, (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>> = new Map([
  ['gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['x-gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['br', promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress)],
]);

/**
 * @param header the request's Content-Encoding
 * @returns `undefined` for a body that is not compressed
 * @throws HttpError 400 for an unknown encoding
 */
function decompressorOf(header: string | undefined): Decompress | undefined {
  const encoding = header?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') {
    return undefined;
  }
  const decompress = DECOMPRESSORS.get(encoding);
  if (decompress === undefined) {
    throw HttpError.invalid('The content encoding must be gzip, br or identity.');
  }
  return async (bytes, maxBytes) => {
    try {
      return await decompress(bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      if (isTooLarge(error)) {
        return undefined;
      }
      throw HttpError.invalid(`The body is not valid ${encoding} data.`);
    }
  };
}

function isTooLarge(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
