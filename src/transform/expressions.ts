import jsonata from 'jsonata';
import { TransformMeter } from './meter.ts';
import { DEPTH_MAX, REASON_CHARACTERS_MAX, RESULT_BYTES_MAX, SEQUENCE_MAX } from './protocol.ts';

export const meter = new TransformMeter();

/** Frozen, because an expression can get hold of it. JSONata asks for the depth in each step. */
export const OPTIONS = Object.freeze({
  get stack() {
    meter.step();
    return DEPTH_MAX;
  },
  sequence: SEQUENCE_MAX,
});

/** A compiled expression takes about a hundred times the memory of its text. */
const COMPILED_MAX = 1_000;
const COMPILED_CHARACTERS_MAX = 128 * 1024;

export interface Outcome {
  readonly isFailure: boolean;
  readonly body: Buffer;
}

/** The one used last is the last. */
const compiled = new Map<string, jsonata.Expression>();
let compiledCharacters = 0;

export function parse(accountId: string, expression: string): Outcome {
  try {
    compile(accountId, expression);
    return { isFailure: false, body: Buffer.alloc(0) };
  } catch (error) {
    return failure(reasonOf(error));
  }
}

export async function evaluate(accountId: string, expression: string, payload: Buffer): Promise<Outcome> {
  let outcome: Outcome | undefined;
  const settle = async (): Promise<void> => {
    try {
      const input: unknown = JSON.parse(payload.toString());
      outcome = outcomeOf(await compile(accountId, expression).evaluate(input));
    } catch (error) {
      outcome = failure(reasonOf(error));
    }
  };
  void settle();
  // JSONata waits for nothing but itself: what is not there after one turn of the event loop never comes. An expression
  // can bring that about by an object with a function named "then".
  await new Promise((resolve) => setImmediate(resolve));
  return outcome ?? failure('The expression never comes to an end.');
}

// An expression can change what it was compiled to, so no other account gets that.
function compile(accountId: string, expression: string): jsonata.Expression {
  const key = `${accountId}\n${expression}`;
  const known = compiled.get(key);
  if (known !== undefined) {
    compiled.delete(key);
    compiled.set(key, known);
    return known;
  }
  const fresh = jsonata(expression, OPTIONS);
  compiled.set(key, fresh);
  compiledCharacters += key.length;
  for (const [oldest] of compiled) {
    if (compiled.size <= COMPILED_MAX && compiledCharacters <= COMPILED_CHARACTERS_MAX) {
      break;
    }
    compiled.delete(oldest);
    compiledCharacters -= oldest.length;
  }
  return fresh;
}

function outcomeOf(result: unknown): Outcome {
  const kind = kindOf(result);
  if (kind !== 'an object') {
    return failure(`The result must be a JSON object, and it is ${kind}.`);
  }
  const body = Buffer.from(jsonOf(result));
  return body.length > RESULT_BYTES_MAX
    ? failure(`The result has more than ${RESULT_BYTES_MAX} bytes.`)
    : { isFailure: false, body };
}

function kindOf(value: unknown): string {
  if (value === undefined) {
    return 'nothing';
  }
  if (value === null) {
    return 'null';
  }
  if (Array.isArray(value)) {
    return 'an array';
  }
  if (isFunction(value)) {
    return 'a function';
  }
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Functions in it are left out, as JSON.stringify does with those of JavaScript. */
function jsonOf(result: unknown): string {
  try {
    // By far the fastest way, and most have none.
    const json = JSON.stringify(result);
    if (!json.includes('"_jsonata_')) {
      return json;
    }
  } catch {
    // Has a function in it, or has come to contain itself.
  }
  return JSON.stringify(result, (_key, value: unknown) => (isFunction(value) ? undefined : value));
}

function isFunction(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'function';
  }
  const marks = value as Readonly<Record<string, unknown>>;
  return marks['_jsonata_lambda'] === true || marks['_jsonata_function'] === true;
}

export function failure(reason: string): Outcome {
  // It is stored and shown: without characters that a database or a terminal would not take.
  const text = reason
    .slice(0, REASON_CHARACTERS_MAX)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ');
  return { isFailure: true, body: Buffer.from(text) };
}

/** JSONata throws plain objects. */
function reasonOf(error: unknown): string {
  if (error instanceof RangeError) {
    return 'The expression is nested too deeply.';
  }
  const { message, code, position } = (error ?? {}) as Partial<Record<'message' | 'code' | 'position', unknown>>;
  const text = typeof message === 'string' && message !== '' ? message : 'The expression failed.';
  const notes = [
    ...(typeof code === 'string' ? [code] : []),
    ...(typeof position === 'number' ? [`at position ${position}`] : []),
  ];
  const suffix = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  return text.slice(0, REASON_CHARACTERS_MAX - suffix.length) + suffix;
}
