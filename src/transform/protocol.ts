/**
 * What travels between the server and a process that transforms: frames, each behind its length. Orders are answered in
 * the order in which they came, so neither needs a number.
 */

/** Of the expression's own processor time, compiling it and reading and writing JSON included. */
export const CPU_MS_MAX = 50;
export const PAYLOAD_BYTES_MAX = 1_048_576;
export const RESULT_BYTES_MAX = 1_048_576;
/** JSONata's own count of evaluations within each other; a call of a function takes about five. */
export const DEPTH_MAX = 1_000;
/** Elements of one sequence. */
export const SEQUENCE_MAX = 100_000;
export const REASON_CHARACTERS_MAX = 500;

/** Why a process ended itself: the expression was over its time, or over its memory. */
export type Verdict = 'time' | 'memory';

export const REASONS: Readonly<Record<Verdict | 'crash', string>> = {
  time: `The expression took more than ${CPU_MS_MAX} ms of processor time.`,
  memory: 'The expression took more memory than it may.',
  crash: 'The expression took more memory than it may.',
};

export interface Order {
  readonly kind: 'transform' | 'parse';
  /** Whose expression it is: what is compiled is shared within an account only. */
  readonly accountId: string;
  readonly expression: string;
  readonly payload: Buffer;
}

export interface Answer {
  readonly isFailure: boolean;
  readonly cpuMs: number;
  /** The result, or the reason. */
  readonly body: Buffer;
}

const LENGTH_BYTES = 4;
const ORDER_HEAD_BYTES = LENGTH_BYTES + 1 + 2 + 4;
const ANSWER_HEAD_BYTES = LENGTH_BYTES + 1 + 8;

/** In two pieces, so that the payload is not copied. */
export function packOrder({ kind, accountId, expression, payload }: Order): [head: Buffer, payload: Buffer] {
  const account = Buffer.from(accountId);
  const text = Buffer.from(expression);
  const head = Buffer.allocUnsafe(ORDER_HEAD_BYTES);
  head.writeUInt32LE(ORDER_HEAD_BYTES - LENGTH_BYTES + account.length + text.length + payload.length, 0);
  head.writeUInt8(kind === 'parse' ? 1 : 0, LENGTH_BYTES);
  head.writeUInt16LE(account.length, LENGTH_BYTES + 1);
  head.writeUInt32LE(text.length, LENGTH_BYTES + 3);
  return [Buffer.concat([head, account, text]), payload];
}

export function unpackOrder(frame: Buffer): Order {
  const accountStart = ORDER_HEAD_BYTES - LENGTH_BYTES;
  const expressionStart = accountStart + frame.readUInt16LE(1);
  const payloadStart = expressionStart + frame.readUInt32LE(3);
  return {
    kind: frame.readUInt8(0) === 1 ? 'parse' : 'transform',
    accountId: frame.toString('utf8', accountStart, expressionStart),
    expression: frame.toString('utf8', expressionStart, payloadStart),
    payload: frame.subarray(payloadStart),
  };
}

export function packAnswer({ isFailure, cpuMs, body }: Answer): Buffer {
  const head = Buffer.allocUnsafe(ANSWER_HEAD_BYTES);
  head.writeUInt32LE(ANSWER_HEAD_BYTES - LENGTH_BYTES + body.length, 0);
  head.writeUInt8(isFailure ? 1 : 0, LENGTH_BYTES);
  head.writeDoubleLE(cpuMs, LENGTH_BYTES + 1);
  return Buffer.concat([head, body]);
}

export function unpackAnswer(frame: Buffer): Answer {
  return {
    isFailure: frame.readUInt8(0) === 1,
    cpuMs: frame.readDoubleLE(1),
    body: frame.subarray(ANSWER_HEAD_BYTES - LENGTH_BYTES),
  };
}

/** Puts frames together from the pieces in which a pipe hands them over. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the whole frame, its length included; of the length alone while that is unknown. */
  #wanted = LENGTH_BYTES;

  /** @returns the frames that are complete now, without their lengths */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const frames: Buffer[] = [];
    while (this.#bytes >= this.#wanted) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#wanted = LENGTH_BYTES + all.readUInt32LE(0);
      const isComplete = all.length >= this.#wanted;
      if (isComplete) {
        frames.push(all.subarray(LENGTH_BYTES, this.#wanted));
      }
      const rest = isComplete ? all.subarray(this.#wanted) : all;
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#bytes = rest.length;
      if (isComplete) {
        this.#wanted = LENGTH_BYTES;
      }
    }
    return frames;
  }
}
