import { isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as grammar from './json-grammar.ts';
import { HttpError } from '../access/http-error.ts';

/** Deeper payloads cannot be read by most receivers, nor shown by the API without exhausting the stack. */
export const DEPTH_MAX = 1_000;

export type JsonFault = 'NOT_JSON' | 'NOT_AN_OBJECT' | 'TOO_DEEP';

const { TABLE } = grammar;
const OBJECT = 0;
const ARRAY = 1;
/** Most texts have fewer. */
const LEVELS_AT_FIRST = 32;

/**
 * Checks a text piece by piece as it arrives: one JSON object, and not nested too deep. It accepts what `JSON.parse`
 * does. That builds values of up to thirty times the text and takes a third of a second for a hostile megabyte;
 * this takes a few milliseconds, and nothing but one byte for each level.
 */
export class JsonCheck {
  #state: number = grammar.START;
  #depth = 0;
  #fault: JsonFault | undefined;
  /** What each open level is. */
  #levels = new Uint8Array(LEVELS_AT_FIRST);

  /** @returns what is wrong with the text so far, whatever follows */
  write(bytes: Uint8Array): JsonFault | undefined {
    if (this.#fault !== undefined) {
      return this.#fault;
    }
    let state = this.#state;
    for (let at = 0; at < bytes.length; at += 1) {
      const next = TABLE[state * 256 + (bytes[at] as number)] as number;
      state = next >= grammar.FIRST_STATE ? next : this.#act(next);
      if (state === grammar.INVALID) {
        this.#fault ??= 'NOT_JSON';
        break;
      }
    }
    this.#state = state;
    return this.#fault;
  }

  /** @returns what is wrong with the whole text */
  end(): JsonFault | undefined {
    return this.#fault ?? (this.#state === grammar.END ? undefined : 'NOT_JSON');
  }

  /** @returns the state that follows */
  #act(what: number): number {
    switch (what) {
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

/** A few milliseconds' work. */
const PIECE_BYTES = 512 * 1_024;

const DETAILS: Readonly<Record<JsonFault, string>> = {
  NOT_JSON: 'The body is not valid JSON.',
  NOT_AN_OBJECT: 'The body must be a JSON object, not a list or a single value.',
  TOO_DEEP: `The body is nested more than ${DEPTH_MAX} levels deep.`,
};

/**
 * Checks that the bytes are one JSON object in strict UTF-8, piece by piece as they come, so that no turn of the
 * event loop is long. Only checks: what is stored and sent are the bytes themselves.
 */
export class PayloadCheck {
  readonly #json = new JsonCheck();

  /** @throws HttpError 400 */
  write(bytes: Buffer): void {
    refuseFor(this.#json.write(bytes));
  }

  /**
   * @param bytes all of them
   * @throws HttpError 400
   */
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
 * The same for bytes that are here all at once.
 *
 * @throws HttpError 400
 */
export async function checkPayload(bytes: Buffer): Promise<void> {
  const check = new PayloadCheck();
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) {
      await nextTurn();
    }
    check.write(bytes.subarray(at, at + PIECE_BYTES));
  }
  check.end(bytes);
}

function refuseFor(fault: JsonFault | undefined): void {
  if (fault !== undefined) {
    throw HttpError.invalid(DETAILS[fault]);
  }
}
