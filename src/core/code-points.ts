/** From here on code units are not in the order of their code points: surrogates stand below U+E000. */
const FIRST_SURROGATE = 0xd800;
const FROM_FIRST_SURROGATE = /[\ud800-\uffff]/;

/** Whether `<` compares this string with any other by code point. */
export function comparesByCodeUnit(text: string): boolean {
  return !FROM_FIRST_SURROGATE.test(text);
}

/**
 * As UTF-8 and databases sort. `<` compares UTF-16 code units, and puts an emoji below U+FF5E.
 *
 * @returns a negative number, 0 or a positive number
 */
export function compareCodePoints(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  let at = 0;
  while (at < length && one.charCodeAt(at) === other.charCodeAt(at)) {
    at += 1;
  }
  if (at === length) {
    return one.length - other.length;
  }
  // A high surrogate before the difference belongs to what differs, if a low one follows.
  const start = at > 0 && isHighSurrogate(one.charCodeAt(at - 1)) ? at - 1 : at;
  return codePoint(one, start) - codePoint(other, start) || codePoint(one, at) - codePoint(other, at);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= FIRST_SURROGATE && unit < 0xdc00;
}

function codePoint(text: string, at: number): number {
  return text.codePointAt(at) ?? -1;
}
