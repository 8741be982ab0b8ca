import { EVENT_HEADERS, type HeaderEntry, type HttpMethod } from './inputs.ts';
import { topLevelMembers } from './json-object.ts';
import { signatureHeader, type SigningKey, signingKeyOf, type SigningSecret } from './signature.ts';

/** The destination's part of a request. */
export interface DestinationSource {
  readonly destinationId: string;
  /** Changes with any of the following. */
  readonly destinationVersion: number;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: readonly HeaderEntry[];
  /** The newest first. */
  readonly signingSecrets: readonly SigningSecret[];
}

/** The delivery's part of a request. */
export interface MessageSource {
  readonly deliveryId: string;
  readonly eventId: string;
  readonly eventType: string | null;
  /** Counts from 1. */
  readonly attempt: number;
  /** How many times the event has been delivered to a Data Pusher before. */
  readonly hops: number;
  /** The bytes as received. */
  readonly payload: Buffer;
}

/** Everything that makes up a delivery's request. Attempts differ in their time and number only. */
export interface RequestSource extends DestinationSource, MessageSource {}

/** Copies the destination's part of a larger source. */
export function destinationOf(source: DestinationSource): DestinationSource {
  const { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets } = source;
  return { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets };
}

/** About the size of a destination in memory and in messages. */
export function charactersOf({ url, headers, signingSecrets }: DestinationSource): number {
  const texts = [url, headers.flat(2), signingSecrets.map(({ secret }) => secret)].flat();
  return texts.reduce((length, text) => length + text.length, 0);
}

/** What all requests to one version of a destination have in common, parsed and encoded once. */
export interface Target {
  /** The URL without its fragment. */
  readonly text: string;
  /** `null` if the text is not a URL. */
  readonly url: URL | null;
  readonly method: HttpMethod;
  readonly headerLines: readonly string[];
  readonly keys: readonly SigningKey[];
}

/** Earlier versions let destinations have headers with the names that are ours now. */
const OWN_NAMES: ReadonlySet<string> = new Set(EVENT_HEADERS);

export function targetOf(source: DestinationSource, userAgent: string): Target {
  const text = withoutFragment(source.url);
  const url = URL.parse(text);
  const names = new Set(source.headers.map(([name]) => name.toLowerCase()));
  const headers = source.headers.filter(([name]) => !OWN_NAMES.has(name.toLowerCase()));
  const headerLines = ['Host', url?.host ?? '', ...destinationLines(headers)];
  if (source.httpMethod !== 'GET' && !names.has('content-type')) {
    headerLines.push('Content-Type', 'application/json');
  }
  if (!names.has('user-agent')) {
    headerLines.push('User-Agent', userAgent);
  }
  return { text, url, method: source.httpMethod, headerLines, keys: source.signingSecrets.map(signingKeyOf) };
}

function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash === -1 ? url : url.slice(0, hash);
}

function destinationLines(headers: readonly HeaderEntry[]): string[] {
  return headers.flatMap(([name, value]) =>
    typeof value === 'string' ? [name, wireText(value)] : value.flatMap((one) => [name, wireText(one)]),
  );
}

// Node writes header values as Latin-1, so text beyond ASCII is passed as its UTF-8 bytes.
function wireText(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}

export interface OutgoingRequest {
  readonly url: URL;
  readonly method: HttpMethod;
  /** Names and values in turn, in the order and letter case in which they are sent. Values have one character a byte. */
  readonly headerLines: readonly string[];
  readonly body: Buffer | undefined;
}

/** Far beyond what servers accept: most stop at 8 or 16 KiB. */
const URL_CHARACTERS_MAX = 64 * 1024;

/** The requested URL is longer than any server would accept. */
export class UrlTooLongError extends Error {
  override readonly name = 'UrlTooLongError';
  readonly code = 'ERR_URL_TOO_LONG';
}

/**
 * A GET carries the payload as query parameters, every other method as its body. The destination's own headers override
 * `Content-Type` and `User-Agent`. `webhook-id`, `webhook-timestamp` (in seconds) and `webhook-signature` are always
 * ours and follow the Standard Webhooks specification. The specification covers only bodies, so for a GET the query
 * string is signed instead. `Data-Pusher-Hops` ends loops between servers. `X-Event-Id`, `X-Event-Type` (if the event has
 * a type) and `X-Delivery-Attempt` tell of the event.
 *
 * @param sentAt in milliseconds since the Unix epoch
 * @throws UrlTooLongError, and a TypeError if there is no valid URL
 */
export function buildRequest(target: Target, message: MessageSource, sentAt: number): OutgoingRequest {
  const isGet = target.method === 'GET';
  const url = requireUrl(isGet ? URL.parse(urlWithQuery(target.text, message.payload)) : target.url);
  const id = message.deliveryId;
  const timestamp = Math.floor(sentAt / 1000).toString();
  // Signed as Node sends it, in the WHATWG parser's spelling: "'" becomes %27, and a trailing "?" is dropped.
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
    'X-Event-Id',
    message.eventId,
    'X-Delivery-Attempt',
    message.attempt.toString(),
  ];
  if (message.eventType !== null) {
    headerLines.push('X-Event-Type', message.eventType);
  }
  if (isGet) {
    return { url, method: target.method, headerLines, body: undefined };
  }
  headerLines.push('Content-Length', message.payload.length.toString());
  return { url, method: target.method, headerLines, body: message.payload };
}

function requireUrl(url: URL | null): URL {
  if (url === null) {
    throw Object.assign(new TypeError('The destination has no valid URL.'), { code: 'ERR_INVALID_URL' });
  }
  if (url.href.length > URL_CHARACTERS_MAX) {
    throw new UrlTooLongError('The URL is too long.');
  }
  return url;
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

/** Turns each top-level key of the payload into one parameter, in their order. Stops as soon as it is too long. */
function queryString(payload: Buffer, lengthMax: number): string {
  let query = '';
  for (const [key, raw] of topLevelMembers(payload.toString('utf8'))) {
    const room = lengthMax - query.length;
    const pair = `${percentEncode(key, room)}=${percentEncode(queryValue(raw, room), room)}`;
    query += query === '' ? pair : `&${pair}`;
    if (query.length > lengthMax) {
      throw payloadTooLong();
    }
  }
  return query;
}

/** The longest JSON escape, `\uXXXX`, stands for one character. */
const ESCAPE_LENGTH_MAX = 6;

/** Strings lose their quotes. All other values stay as the payload spells them. */
function queryValue(raw: string, room: number): string {
  if (!raw.startsWith('"')) {
    return raw;
  }
  if (raw.length / ESCAPE_LENGTH_MAX > room + 2) {
    throw payloadTooLong();
  }
  return JSON.parse(raw) as string;
}

/** A lone surrogate has no UTF-8 form, so its JSON escape is sent instead. */
function percentEncode(text: string, room: number): string {
  if (text.length > room) {
    throw payloadTooLong();
  }
  const encodable = text.isWellFormed() ? text : text.replace(LONE_SURROGATE, jsonEscape);
  return encodeURIComponent(encodable);
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

function jsonEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function payloadTooLong(): UrlTooLongError {
  return new UrlTooLongError('The payload does not fit into a URL.');
}
