import { topLevelMembers } from './json-object.ts';

/** The URL that is to be asked for is longer than any server would take it. */
export class UrlTooLongError extends Error {
  override readonly name = 'UrlTooLongError';
  readonly code = 'ERR_URL_TOO_LONG';
}

/** The longest escape of JSON, `\uXXXX`, stands for one character. */
const ESCAPE_LENGTH_MAX = 6;

/**
 * Each top-level key of the payload as one parameter, in its order.
 *
 * @param lengthMax it is given up as soon as it would be longer
 * @throws UrlTooLongError
 */
export function queryString(payload: Buffer, lengthMax: number): string {
  let query = '';
  for (const [key, raw] of topLevelMembers(payload.toString('utf8'))) {
    const room = lengthMax - query.length;
    const pair = `${percentEncode(key, room)}=${percentEncode(queryValue(raw, room), room)}`;
    query += query === '' ? pair : `&${pair}`;
    if (query.length > lengthMax) {
      throw tooLong();
    }
  }
  return query;
}

// Strings as they are; numbers, true, false, null, objects and arrays as the payload spells them.
function queryValue(raw: string, room: number): string {
  if (!raw.startsWith('"')) {
    return raw;
  }
  if (raw.length / ESCAPE_LENGTH_MAX > room + 2) {
    throw tooLong();
  }
  return JSON.parse(raw) as string;
}

/** A lone surrogate has no UTF-8 form; its JSON escape has, and tells the receiver what was there. */
function percentEncode(text: string, room: number): string {
  if (text.length > room) {
    throw tooLong();
  }
  const encodable = text.isWellFormed() ? text : text.replace(LONE_SURROGATE, jsonEscape);
  return encodeURIComponent(encodable);
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

function jsonEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function tooLong(): UrlTooLongError {
  return new UrlTooLongError('The payload does not fit into a URL.');
}
