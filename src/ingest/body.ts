import type { IncomingMessage } from 'node:http';
import { HttpError } from '../access/http-error.ts';
import { SharedMemory } from '../core/shared-memory.ts';
import { LARGE_BYTES_TOTAL_MAX, LargeBodies, type Reservation, SmallBodies } from './body-memory.ts';
import { type Decompress, decompressorOf } from './decompression.ts';
import { type BodyCheck, checkInTurns } from './payload-check.ts';

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

/** What a body may be. */
export interface BodyRule {
  /** Before and after decompression. */
  readonly maxBytes: number;
  /** For this body alone. */
  readonly check: BodyCheck;
}

interface IncomingBody extends BodyRule {
  readonly request: IncomingMessage;
  readonly sender: Sender;
  /** `undefined` for bodies that are not compressed. Others are checked after decompression. */
  readonly decompress: Decompress | undefined;
}

/** Reads, decompresses and checks bodies. Bounds the memory that all of them use together. */
export class Bodies {
  readonly #small = new SmallBodies();
  readonly #large = new LargeBodies();
  readonly #memory = new SharedMemory(LARGE_BYTES_TOTAL_MAX);

  /**
   * @throws HttpError 413 as soon as the limit is exceeded; 400 for an invalid payload or encoding; 401 for a large body
   * without a valid token; 503 when there is no memory for it
   */
  async read(request: IncomingMessage, sender: Sender, { maxBytes, check }: BodyRule): Promise<Body> {
    const decompress = decompressorOf(request.headers['content-encoding']);
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > maxBytes) {
      throw HttpError.tooLarge(maxBytes);
    }
    const incoming = { request, sender, decompress, check, maxBytes };
    return declared > smallMaxBytesOf(incoming) ? this.#readLarge(incoming, declared) : this.#readSmall(incoming);
  }

  async #readSmall(incoming: IncomingBody): Promise<Body> {
    const { request, check, decompress, maxBytes } = incoming;
    const reservation = this.#small.reserve();
    try {
      const chunks: Buffer[] = [];
      const take = (chunk: Buffer): void => void chunks.push(chunk);
      const reception = { reservation, take, check: streamedCheckOf(incoming), maxBytes: smallMaxBytesOf(incoming) };
      const isComplete = await receive(request, reception);
      const [first = EMPTY, ...rest] = chunks;
      const bytes = rest.length === 0 ? first : Buffer.concat(chunks);
      if (isComplete && decompress === undefined) {
        check.end(bytes);
        return { bytes, release: () => reservation.release() };
      }
      const body = await (isComplete && decompress !== undefined
        ? this.#decompressSmall(incoming, decompress, bytes)
        : this.#readLarge(incoming, maxBytes, bytes));
      reservation.release();
      return body;
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  /**
   * @param lengthMax the length of the body, if it is known
   * @param beginning the part that has already arrived of a body without Content-Length
   */
  async #readLarge(incoming: IncomingBody, lengthMax: number, beginning = EMPTY): Promise<Body> {
    const { request, decompress } = incoming;
    const reservation = await this.#reserve(incoming, lengthMax + (decompress ? decompressionBytesOf(incoming) : 0));
    // The operating system assigns memory only when it is written to.
    const target = this.#memory.allocate(lengthMax) ?? Buffer.allocUnsafeSlow(lengthMax);
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
      const reception = { reservation, take, check: streamedCheckOf(incoming), maxBytes: lengthMax - length };
      if (!(await receive(request, reception))) {
        throw HttpError.tooLarge(incoming.maxBytes);
      }
      const bytes = target.subarray(0, length);
      if (decompress !== undefined) {
        const body = await this.#decompressLarge(incoming, { decompress, compressed: bytes, reservation });
        this.#release(target);
        return body;
      }
      incoming.check.end(bytes);
      return { bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A small compressed body may become a large one. */
  async #decompressSmall(incoming: IncomingBody, decompress: Decompress, compressed: Buffer): Promise<Body> {
    const bytes = await decompress(compressed, smallMaxBytesOf(incoming));
    if (bytes === undefined) {
      const reservation = await this.#reserve(incoming, decompressionBytesOf(incoming));
      reservation.complete();
      return this.#decompressLarge(incoming, { decompress, compressed, reservation });
    }
    const small = this.#small.reserve();
    small.complete();
    small.add(bytes.length);
    return checked(bytes, incoming.check, small);
  }

  async #decompressLarge(
    { maxBytes, check }: IncomingBody,
    { decompress, compressed, reservation }: Decompression,
  ): Promise<Body> {
    const bytes = await decompress(compressed, maxBytes).catch((error: unknown) => {
      reservation.release();
      throw error;
    });
    if (bytes === undefined) {
      reservation.release();
      throw HttpError.tooLarge(maxBytes);
    }
    return checked(bytes, check, reservation);
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

  async #reserve(incoming: IncomingBody, bytes: number): Promise<Reservation> {
    const { request, sender, maxBytes } = incoming;
    if (smallMaxBytesOf(incoming) === maxBytes) {
      throw HttpError.tooLarge(maxBytes);
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

interface Decompression {
  readonly decompress: Decompress;
  readonly compressed: Buffer;
  readonly reservation: Reservation;
}

function smallMaxBytesOf({ maxBytes }: BodyRule): number {
  return Math.min(SMALL_BYTES_MAX, maxBytes);
}

/** zlib collects chunks and concatenates them at the end. */
function decompressionBytesOf({ maxBytes }: BodyRule): number {
  return 2 * maxBytes;
}

function streamedCheckOf({ check, decompress }: IncomingBody): BodyCheck | undefined {
  return decompress === undefined ? check : undefined;
}

async function checked(bytes: Buffer, check: BodyCheck, reservation: Reservation): Promise<Body> {
  try {
    await checkInTurns(bytes, check);
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
  readonly check: BodyCheck | undefined;
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
