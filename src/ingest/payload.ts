import { isUtf8 } from 'node:buffer';
import { nestingDepth } from '../core/json-object.ts';
import { Refusal } from './refusal.ts';

/** Deeper payloads cannot be read by most receivers, nor shown by the API without exhausting the stack. */
const DEPTH_MAX = 1_000;

/**
 * Checks that the bytes are one JSON object in strict UTF-8. Only checks: what is stored and sent are the
 * bytes themselves.
 *
 * @throws Refusal 400
 */
export function checkPayload(bytes: Buffer): void {
  if (bytes.length === 0) {
    throw Refusal.invalid('The body is empty; it must be a JSON object.');
  }
  if (!isUtf8(bytes)) {
    throw Refusal.invalid('The body is not valid UTF-8.');
  }
  const text = bytes.toString('utf8');
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw Refusal.invalid('The body must be a JSON object, not a list or a single value.');
  }
  // Every level takes two brackets, so a short text cannot be deep.
  if (text.length > 2 * DEPTH_MAX && nestingDepth(text) > DEPTH_MAX) {
    throw Refusal.invalid(`The body is nested more than ${DEPTH_MAX} levels deep.`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw Refusal.invalid('The body is not valid JSON.');
  }
}
