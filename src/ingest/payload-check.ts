import { isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DEPTH_MAX, JsonCheck, type JsonFault } from './json-check.ts';
import { Refusal } from './refusal.ts';

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

  /** @throws Refusal 400 */
  write(bytes: Buffer): void {
    refuseFor(this.#json.write(bytes));
  }

  /**
   * @param bytes all of them
   * @throws Refusal 400
   */
  end(bytes: Buffer): void {
    if (bytes.length === 0) {
      throw Refusal.invalid('The body is empty; it must be a JSON object.');
    }
    refuseFor(this.#json.end());
    if (!isUtf8(bytes)) {
      throw Refusal.invalid('The body is not valid UTF-8.');
    }
  }
}

/**
 * The same for bytes that are here all at once.
 *
 * @throws Refusal 400
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
    throw Refusal.invalid(DETAILS[fault]);
  }
}
