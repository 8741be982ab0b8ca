import { JsonText } from './json-text.ts';

/** How long the writing may hold the event loop at a time. */
const TURN_MS = 5;

/** `JSON.stringify` for a large answer: it lets others in between, and passes on JSON that is text already. */
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

/** Yields after every entry of a list and every long text. */
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
