import { DomainError } from './errors.ts';

const PATH_CHARACTERS_MAX = 200;
export const PATH_KEYS_MAX = 10;
const ELEMENT_INDEX = /^(?:0|[1-9]\d{0,9})$/;

export interface PathKey {
  readonly name: string;
  /** The element that the key names where it meets an array, or -1. */
  readonly index: number;
}

/** A way down into a payload. In text its keys stand between dots: `data.items.0.sku`. */
export type DottedPath = readonly PathKey[];

export function pathKey(name: string): PathKey {
  return { name, index: ELEMENT_INDEX.test(name) ? Number(name) : -1 };
}

/** A key of a payload that nobody may name, because databases cannot keep it or it is known for attacks only. */
export function isForbiddenKey(name: string): boolean {
  return name === '__proto__' || name.includes('\0') || !name.isWellFormed();
}

/**
 * @param field the input that the path was given in
 * @throws DomainError BAD_USER_INPUT
 */
export function parseDottedPath(text: string, field: 'eventTypePath' | 'policy.orderBy'): DottedPath {
  const names = text.split('.', PATH_KEYS_MAX + 1);
  const isPath =
    text.length <= PATH_CHARACTERS_MAX &&
    names.length <= PATH_KEYS_MAX &&
    names.every((name) => name !== '' && !isForbiddenKey(name));
  if (!isPath) {
    throw DomainError.badInput(
      field,
      `The path consists of 1 to ${PATH_KEYS_MAX} keys with dots between them, such as "data.kind". It has at most ${PATH_CHARACTERS_MAX} characters, no empty key, and no "__proto__".`,
    );
  }
  return names.map((name) => pathKey(name));
}

/**
 * One step down. Only own properties count, so "constructor" is not found in every object, nor "length" in arrays.
 *
 * @param value as `JSON.parse` made it
 * @returns undefined where there is nothing, which is no value of JSON
 */
export function memberOf(value: unknown, { name, index }: PathKey): unknown {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  if (Array.isArray(value)) {
    return index >= 0 && index < value.length ? (value[index] as unknown) : undefined;
  }
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** The one value that a path leads to, or undefined. In arrays it takes elements by their number only. */
export function valueAt(payload: unknown, path: DottedPath): unknown {
  let value = payload;
  for (const key of path) {
    value = memberOf(value, key);
  }
  return value;
}
