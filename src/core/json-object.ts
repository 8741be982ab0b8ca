/**
 * Reads the top level of a JSON object as text: numbers keep every digit, nested values keep their spelling, and repeated
 * keys are all returned. `JSON.parse` loses all three. Libraries such as lossless-json keep the digits only. Reading is
 * lazy: when the caller stops, the rest of the text is not read.
 *
 * @param text a valid JSON object, checked at ingest. The result for other text is undefined.
 */
export function* topLevelMembers(text: string): Generator<[key: string, rawValue: string]> {
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const valueStart = skipSpace(text, text.indexOf(':', keyEnd) + 1);
    const valueEnd = endOfValue(text, valueStart);
    yield [JSON.parse(text.slice(at, keyEnd)) as string, text.slice(valueStart, valueEnd)];
    const next = skipSpace(text, valueEnd);
    at = text[next] === ',' ? skipSpace(text, next + 1) : next;
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') {
    at += 1;
  }
  return at;
}

function endOfString(text: string, open: number): number {
  let quote = text.indexOf('"', open + 1);
  while (quote !== -1 && isEscaped(text, quote)) {
    quote = text.indexOf('"', quote + 1);
  }
  return quote === -1 ? text.length : quote + 1;
}

/** A quote after an odd number of backslashes is escaped. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text[start - 1] === '\\') {
    start -= 1;
  }
  return (at - start) % 2 === 1;
}

function endOfValue(text: string, start: number): number {
  if (text[start] === '"') {
    return endOfString(text, start);
  }
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      at = endOfString(text, at) - 1;
    } else if (character === '{' || character === '[') {
      depth += 1;
    } else if (character === '}' || character === ']') {
      if (depth === 0) {
        return trimmedEnd(text, start, at);
      }
      depth -= 1;
    } else if (character === ',' && depth === 0) {
      return trimmedEnd(text, start, at);
    }
  }
  return text.length;
}

function trimmedEnd(text: string, start: number, end: number): number {
  return start + text.slice(start, end).trimEnd().length;
}
