import { isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as grammar from './json-grammar.ts';
import { HttpError } from '../access/http-error.ts';

/** Most receivers cannot read deeper payloads, and showing one in the API would exhaust the stack. */
export const DEPTH_MAX = 1_000;

export type JsonFault = 'NOT_JSON' | 'NOT_AN_OBJECT' | 'TOO_DEEP';

const { TABLE } = grammar;
const OBJECT = 0;
const ARRAY = 1;
/** Few payloads are deeper. */
const LEVELS_INITIAL = 32;

/**
 * Checks chunk by chunk that a text is one JSON object, and not nested too deeply. It accepts the same texts as
 * `JSON.parse`. `JSON.parse` builds values of up to thirty times the text's size and takes a third of a second for a
 * hostile megabyte. This takes a few milliseconds, and one byte of memory for each level. Streaming parsers are no
 * alternative: they also build a value or an event for each token.
 */
export class JsonCheck {
  #state: number = grammar.START;
  #depth = 0;
  #fault: JsonFault | undefined;
  /** Whether each open level is an object or an array. */
  #levels = new Uint8Array(LEVELS_INITIAL);

  /** The fault in the text so far, if nothing that follows can repair it. */
  get fault(): JsonFault | undefined {
    return this.#fault;
  }

  /** Whether the object's last brace was read. */
  get isComplete(): boolean {
    return this.#state === grammar.END;
  }

  /** @returns the fault in the text so far, if nothing that follows can repair it */
  write(bytes: Uint8Array): JsonFault | undefined {
    let from = 0;
    while (from < bytes.length && this.#fault === undefined) {
      from = this.writeObject(bytes, from, bytes.length);
    }
    return this.#fault;
  }

  /**
   * Reads on from `from`, up to `to` at most.
   *
   * @returns where it stopped: after the last brace of the object, after a fault, or at `to`
   */
  writeObject(bytes: Uint8Array, from: number, to: number): number {
    let state = this.#state;
    let at = from;
    while (at < to) {
      const next = TABLE[state * 256 + (bytes[at] as number)] as number;
      at += 1;
      if (next >= grammar.FIRST_STATE) {
        state = next;
      } else {
        state = this.#act(next);
        if (state === grammar.INVALID) {
          this.#fault ??= 'NOT_JSON';
          break;
        }
        if (state === grammar.END) {
          break;
        }
      }
    }
    this.#state = state;
    return at;
  }

  /** @returns the fault in the whole text */
  end(): JsonFault | undefined {
    return this.#fault ?? (this.isComplete ? undefined : 'NOT_JSON');
  }

  /** @returns the next state */
  #act(action: number): number {
    switch (action) {
      case grammar.OPEN_OBJECT:
        return this.#open(OBJECT, grammar.KEY_OR_CLOSE);
      case grammar.OPEN_ARRAY:
        return this.#open(ARRAY, grammar.VALUE_OR_CLOSE);
      case grammar.CLOSE_OBJECT:
        return this.#close(OBJECT);
      case grammar.CLOSE_ARRAY:
        return this.#close(ARRAY);
      case grammar.COMMA:
        return this.#levels[this.#depth - 1] === OBJECT ? grammar.KEY : grammar.VALUE;
      case grammar.NOT_AN_OBJECT:
        this.#fault = 'NOT_AN_OBJECT';
        return grammar.INVALID;
      default:
        return grammar.INVALID;
    }
  }

  #open(level: number, next: number): number {
    if (this.#depth === DEPTH_MAX) {
      this.#fault = 'TOO_DEEP';
      return grammar.INVALID;
    }
    if (this.#depth === this.#levels.length) {
      const levels = new Uint8Array(DEPTH_MAX);
      levels.set(this.#levels);
      this.#levels = levels;
    }
    this.#levels[this.#depth] = level;
    this.#depth += 1;
    return next;
  }

  #close(level: number): number {
    if (this.#levels[this.#depth - 1] !== level) {
      return grammar.INVALID;
    }
    this.#depth -= 1;
    return this.#depth === 0 ? grammar.END : grammar.AFTER;
  }
}

/** Checking this many takes a few milliseconds. */
const CHUNK_BYTES = 512 * 1_024;

const DETAILS: Readonly<Record<JsonFault, string>> = {
  NOT_JSON: 'is not valid JSON.',
  NOT_AN_OBJECT: 'must be a JSON object, not a list or a single value.',
  TOO_DEEP: `is nested more than ${DEPTH_MAX} levels deep.`,
};

/** @param what has the fault */
export function detailOf(fault: JsonFault, what: 'The body' | 'The event'): string {
  return `${what} ${DETAILS[fault]}`;
}

/** Checks a body piece by piece. The body itself is not changed: the program stores and sends its original bytes. */
export interface BodyCheck {
  /** @throws HttpError 400, 413 */
  write(bytes: Buffer): void;
  /**
   * @param bytes the whole body
   * @throws HttpError 400
   */
  end(bytes: Buffer): void;
}

/**
 * Checks chunk by chunk that a body is one JSON object in valid UTF-8. One check of a whole large body would block the
 * event loop.
 */
export class PayloadCheck implements BodyCheck {
  readonly #json = new JsonCheck();

  write(bytes: Buffer): void {
    refuseFor(this.#json.write(bytes));
  }

  end(bytes: Buffer): void {
    if (bytes.length === 0) {
      throw HttpError.invalid('The body is empty; it must be a JSON object.');
    }
    refuseFor(this.#json.end());
    if (!isUtf8(bytes)) {
      throw HttpError.invalid('The body is not valid UTF-8.');
    }
  }
}

/**
 * Checks a body that is already complete.
 *
 * @throws HttpError 400, 413
 */
export async function checkInTurns(bytes: Buffer, check: BodyCheck): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    if (at > 0) {
      await nextTurn();
    }
    check.write(bytes.subarray(at, at + CHUNK_BYTES));
  }
  check.end(bytes);
}

/** Whether the bytes can be an event's payload. */
export async function isPayload(bytes: Buffer): Promise<boolean> {
  try {
    await checkInTurns(bytes, new PayloadCheck());
    return true;
  } catch (error) {
    if (error instanceof HttpError) {
      return false;
    }
    throw error;
  }
}

function refuseFor(fault: JsonFault | undefined): void {
  if (fault !== undefined) {
    throw HttpError.invalid(detailOf(fault, 'The body'));
  }
}
