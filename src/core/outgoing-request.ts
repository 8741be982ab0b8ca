import type { HeaderEntry, HttpMethod } from './destination-input.ts';
import { topLevelMembers } from './json-object.ts';
import { type SigningSecret, signatureHeader } from './signature.ts';

/** What a delivery's request is made of; the same for every attempt but for the time. */
export interface RequestSource {
  readonly deliveryId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: readonly HeaderEntry[];
  /** The newest first. */
  readonly signingSecrets: readonly SigningSecret[];
  /** The bytes as they were received. */
  readonly payload: Buffer;
}

export interface OutgoingRequest {
  readonly url: string;
  readonly method: HttpMethod;
  /** Name and value in turn, in the order and letter case they are sent in; values are bytes, one character each. */
  readonly headerLines: readonly string[];
  readonly body: Buffer | undefined;
}

export interface RequestStamp {
  readonly userAgent: string;
  /** Milliseconds since the Unix epoch. */
  readonly sentAt: number;
}

/**
 * A GET carries the payload as query parameters, every other method as its body. The destination's own
 * headers win over `Content-Type` and `User-Agent`; `webhook-id`, `webhook-timestamp` (in seconds) and
 * `webhook-signature` are always ours, after the Standard Webhooks specification. It knows bodies only: of a
 * GET the query string is signed in the place of the body.
 */
export function buildRequest(source: RequestSource, stamp: RequestStamp): OutgoingRequest {
  const isGet = source.httpMethod === 'GET';
  const url = isGet ? urlWithQuery(source.url, source.payload) : withoutFragment(source.url);
  const headerLines = destinationLines(source.headers);
  const names = new Set(source.headers.map(([name]) => name.toLowerCase()));
  if (!isGet && !names.has('content-type')) {
    headerLines.push('Content-Type', 'application/json');
  }
  if (!names.has('user-agent')) {
    headerLines.push('User-Agent', stamp.userAgent);
  }
  const signed = {
    id: source.deliveryId,
    timestamp: Math.floor(stamp.sentAt / 1000).toString(),
    body: isGet ? queryOnTheWire(url) : source.payload,
  };
  const signature = signatureHeader(signed, source.signingSecrets, stamp.sentAt);
  headerLines.push('webhook-id', signed.id, 'webhook-timestamp', signed.timestamp, 'webhook-signature', signature);
  return {
    url,
    method: source.httpMethod,
    headerLines,
    body: isGet ? undefined : source.payload,
  };
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

/** Appends each top-level key of the payload to the URL's own query; the fragment is dropped. */
export function urlWithQuery(url: string, payload: Buffer): string {
  const base = withoutFragment(url);
  const query = topLevelMembers(payload.toString('utf8'))
    .map(([key, raw]) => `${percentEncode(key)}=${percentEncode(queryValue(raw))}`)
    .join('&');
  if (query === '') {
    return base;
  }
  if (!base.includes('?')) {
    return `${base}?${query}`;
  }
  return /[?&]$/.test(base) ? base + query : `${base}&${query}`;
}

// Node writes a URL as the WHATWG parser spells it: "'" goes out as %27, and a "?" with nothing behind it not at all.
function queryOnTheWire(url: string): string {
  return URL.parse(url)?.search.slice(1) ?? '';
}

function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash === -1 ? url : url.slice(0, hash);
}

// Strings as they are; numbers, true, false, null, objects and arrays as the payload spells them.
function queryValue(raw: string): string {
  return raw.startsWith('"') ? (JSON.parse(raw) as string) : raw;
}

/** A lone surrogate has no UTF-8 form; its JSON escape has, and tells the receiver what was there. */
function percentEncode(text: string): string {
  const encodable = text.isWellFormed() ? text : text.replace(LONE_SURROGATE, jsonEscape);
  return encodeURIComponent(encodable);
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

function jsonEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
