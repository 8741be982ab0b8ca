import { topLevelMembers } from './json-object.ts';
import type { HeaderEntry, HttpMethod } from './inputs.ts';
import { signatureHeader, type SigningKey, signingKeyOf, type SigningSecret } from './signature.ts';

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

/** Far beyond what servers take: most stop at 8 or 16 KiB. */
const URL_CHARACTERS_MAX = 64 * 1024;

/** What a destination gives to its requests. */
export interface DestinationSource {
  readonly destinationId: string;
  /** Another one whenever anything of what follows has changed. */
  readonly destinationVersion: number;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: readonly HeaderEntry[];
  /** The newest first. */
  readonly signingSecrets: readonly SigningSecret[];
}

/** What a delivery gives to its requests. */
export interface MessageSource {
  readonly deliveryId: string;
  /** How many times the event has been delivered to a Data Pusher before. */
  readonly hops: number;
  /** The bytes as they were received. */
  readonly payload: Buffer;
}

/** What a delivery's request is made of; the same for every attempt but for the time. */
export interface RequestSource extends DestinationSource, MessageSource {}

/** What all requests to one version of a destination have in common, parsed and encoded once. */
export interface Target {
  /** Without the fragment. */
  readonly text: string;
  /** `null` where the text is no URL. */
  readonly url: URL | null;
  readonly method: HttpMethod;
  readonly headerLines: readonly string[];
  readonly keys: readonly SigningKey[];
}

export interface OutgoingRequest {
  readonly url: URL;
  readonly method: HttpMethod;
  /** Name and value in turn, in the order and letter case they are sent in; values are bytes, one character each. */
  readonly headerLines: readonly string[];
  readonly body: Buffer | undefined;
}

export function targetOf(source: DestinationSource, userAgent: string): Target {
  const text = withoutFragment(source.url);
  const url = URL.parse(text);
  const names = new Set(source.headers.map(([name]) => name.toLowerCase()));
  const headerLines = ['Host', url?.host ?? '', ...destinationLines(source.headers)];
  if (source.httpMethod !== 'GET' && !names.has('content-type')) {
    headerLines.push('Content-Type', 'application/json');
  }
  if (!names.has('user-agent')) {
    headerLines.push('User-Agent', userAgent);
  }
  return { text, url, method: source.httpMethod, headerLines, keys: source.signingSecrets.map(signingKeyOf) };
}

/**
 * A GET carries the payload as query parameters, every other method as its body. The destination's own
 * headers win over `Content-Type` and `User-Agent`; `webhook-id`, `webhook-timestamp` (in seconds) and
 * `webhook-signature` are always ours, after the Standard Webhooks specification. It knows bodies only: of a
 * GET the query string is signed in the place of the body. `Data-Pusher-Hops` is what ends a circle.
 *
 * @param sentAt in milliseconds since the Unix epoch
 * @throws UrlTooLongError, and a TypeError where there is no URL
 */
export function buildRequest(target: Target, message: MessageSource, sentAt: number): OutgoingRequest {
  const isGet = target.method === 'GET';
  const url = requireUrl(isGet ? URL.parse(urlWithQuery(target.text, message.payload)) : target.url);
  const id = message.deliveryId;
  const timestamp = Math.floor(sentAt / 1000).toString();
  // Node writes a URL as the WHATWG parser spells it: "'" goes out as %27, and a "?" with nothing behind it not at all.
  const body = isGet ? url.search.slice(1) : message.payload;
  const headerLines = [
    ...target.headerLines,
    'webhook-id',
    id,
    'webhook-timestamp',
    timestamp,
    'webhook-signature',
    signatureHeader({ id, timestamp, body }, target.keys, sentAt),
    'Data-Pusher-Hops',
    (message.hops + 1).toString(),
  ];
  if (isGet) {
    return { url, method: target.method, headerLines, body: undefined };
  }
  headerLines.push('Content-Length', message.payload.length.toString());
  return { url, method: target.method, headerLines, body: message.payload };
}

function requireUrl(url: URL | null): URL {
  if (url === null) {
    throw Object.assign(new TypeError('The destination has no URL that can be called.'), { code: 'ERR_INVALID_URL' });
  }
  if (url.href.length > URL_CHARACTERS_MAX) {
    throw new UrlTooLongError('The URL is too long.');
  }
  return url;
}

function destinationLines(headers: readonly HeaderEntry[]): string[] {
  return headers.flatMap(([name, value]) =>
    typeof value === 'string' ? [name, wireText(value)] : value.flatMap((one) => [name, wireText(one)]),
  );
}

// Node writes header values as Latin-1; text beyond ASCII goes out as its UTF-8 bytes.
function wireText(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}

/**
 * Appends each top-level key of the payload to the URL's own query.
 *
 * @param base a URL without a fragment
 */
export function urlWithQuery(base: string, payload: Buffer): string {
  const query = queryString(payload, URL_CHARACTERS_MAX - base.length);
  if (query === '') {
    return base;
  }
  if (!base.includes('?')) {
    return `${base}?${query}`;
  }
  return /[?&]$/.test(base) ? base + query : `${base}&${query}`;
}

function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash === -1 ? url : url.slice(0, hash);
}
