import { EVERYTHING, type Scope } from '../core/scope.ts';

/** JSON that is copied into the answer as text. Parsed into objects, it could take twenty times the memory. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For code that reads the result without `answerText`. */
  toJSON(): unknown {
    return JSON.parse(this.text) as unknown;
  }
}

/** The longest time to block the event loop. */
const TURN_MS = 5;

/**
 * `JSON.stringify` for large answers: it yields to other requests, and copies JSON that is already text. Packages such as
 * json-stream-stringify cannot do the latter.
 */
export async function answerText(result: unknown): Promise<string> {
  const pieces: string[] = [];
  let turnAt = performance.now();
  for (const _ of write(result, pieces)) {
    if (performance.now() - turnAt > TURN_MS) {
      await new Promise(setImmediate);
      turnAt = performance.now();
    }
  }
  pieces.push('\n');
  return pieces.join('');
}

/** Yields after each entry of a list and each long text. */
function* write(value: unknown, pieces: string[]): Generator<undefined, void> {
  if (Array.isArray(value)) {
    yield* writeList(value, pieces);
  } else if (isTree(value)) {
    yield* writeObject(value, pieces);
  } else {
    pieces.push(scalarText(value));
    yield;
  }
}

function* writeList(list: readonly unknown[], pieces: string[]): Generator<undefined, void> {
  let before = '[';
  for (const entry of list) {
    pieces.push(before);
    yield* write(entry, pieces);
    yield;
    before = ',';
  }
  pieces.push(before === '[' ? '[]' : ']');
}

function* writeObject(tree: Readonly<Record<string, unknown>>, pieces: string[]): Generator<undefined, void> {
  let before = '{';
  for (const key in tree) {
    const value = tree[key];
    if (value === undefined) {
      continue;
    }
    pieces.push(`${before}${JSON.stringify(key)}:`);
    if (isSmall(value)) {
      pieces.push(scalarText(value));
    } else {
      yield* write(value, pieces);
    }
    before = ',';
  }
  pieces.push(before === '{' ? '{}' : '}');
}

const SMALL_CHARACTERS = 1_000;

function isSmall(value: unknown): boolean {
  return typeof value === 'string' ? value.length < SMALL_CHARACTERS : typeof value !== 'object' || value === null;
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !('toJSON' in value);
}

function scalarText(value: unknown): string {
  return value instanceof JsonText ? value.text : (JSON.stringify(value) ?? 'null');
}

const MIB = 1024 * 1024;

interface PoolBounds {
  readonly totalBytes: number;
  /** For all accounts together. The rest is reserved for the administrator. */
  readonly accountsBytes: number;
  readonly accountBytes: number;
}

const BOUNDS: PoolBounds = { totalBytes: 64 * MIB, accountsBytes: 48 * MIB, accountBytes: 16 * MIB };

/**
 * Bounds the memory of all answers together. An answer counts until its last byte is sent, so slow readers keep their
 * share. An account can use up its own share, and no other's.
 */
export class AnswerPool {
  readonly #bounds: PoolBounds;
  readonly #byAccount = new Map<string, number>();
  #accountsBytes = 0;
  #totalBytes = 0;

  constructor(bounds: PoolBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** @returns false when the caller's share has too little left */
  take(caller: Scope, bytes: number): boolean {
    const { totalBytes, accountsBytes, accountBytes } = this.#bounds;
    if (this.#totalBytes + bytes > totalBytes) {
      return false;
    }
    if (caller !== EVERYTHING) {
      const own = (this.#byAccount.get(caller.accountId) ?? 0) + bytes;
      if (own > accountBytes || this.#accountsBytes + bytes > accountsBytes) {
        return false;
      }
    }
    this.#add(caller, bytes);
    return true;
  }

  giveBack(caller: Scope, bytes: number): void {
    this.#add(caller, -bytes);
  }

  #add(caller: Scope, bytes: number): void {
    this.#totalBytes += bytes;
    if (caller === EVERYTHING) {
      return;
    }
    this.#accountsBytes += bytes;
    const own = (this.#byAccount.get(caller.accountId) ?? 0) + bytes;
    if (own === 0) {
      this.#byAccount.delete(caller.accountId);
    } else {
      this.#byAccount.set(caller.accountId, own);
    }
  }
}

/** One for the process, because its memory is shared. */
export const ANSWER_POOL = new AnswerPool();
