import { DomainError } from './errors.ts';
import { addressInUrl, type AddressRule } from './address-rule.ts';

const NAME_CHARACTERS_MAX = 200;
const DESTINATION_NAME_CHARACTERS_MAX = 100;
const DESCRIPTION_CHARACTERS_MAX = 1_000;
const WEBSITE_CHARACTERS_MAX = 2_000;

/** A bare host name (RFC 1123), at least two labels, with an optional port and path: `hello.com`, `www.hello.com/shop`. */
const BARE_HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}(?::\d{1,5})?(?:[/?#]\S*)?$/iu;

/** The name of an account. */
export function parseName(text: string): string {
  return parseText('name', text, NAME_CHARACTERS_MAX);
}

export function parseDestinationName(text: string): string {
  return parseText('name', text, DESTINATION_NAME_CHARACTERS_MAX);
}

export function parseDescription(text: string): string {
  return parseText('description', text, DESCRIPTION_CHARACTERS_MAX);
}

/** Text for people. White space around it does not count. */
function parseText(field: string, text: string, charactersMax: number): string {
  const trimmed = text.trim();
  if (trimmed === '' || Array.from(trimmed).length > charactersMax) {
    throw DomainError.badInput(field, `The ${field} must not be blank and has at most ${charactersMax} characters.`);
  }
  if (!trimmed.isWellFormed() || trimmed.includes('\0')) {
    throw DomainError.badInput(field, `The ${field} must be valid Unicode text without the null character.`);
  }
  return trimmed;
}

/** The text is stored exactly as given. Nothing is ever sent to a website. */
export function parseWebsite(text: string): string {
  const isText = text.length <= WEBSITE_CHARACTERS_MAX && text.isWellFormed() && !/\p{Cc}/u.test(text);
  if (!isText || !(BARE_HOST.test(text) || isWebUrl(text))) {
    throw DomainError.badInput(
      'website',
      `The website must be an http or https URL, or a host name such as "hello.com", of at most ${WEBSITE_CHARACTERS_MAX} characters.`,
    );
  }
  return text;
}

/** Addresses that differ only in letter case belong to the same account. */
export function emailKey(email: string): string {
  return email.toLowerCase();
}

function isWebUrl(text: string): boolean {
  return /^https?:\/\/\S+$/iu.test(text) && URL.canParse(text);
}

export const HTTP_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

/** One entry for each header. Names keep their letter case and order. A list is sent as repeated headers. */
export type HeaderEntry = readonly [name: string, value: string | readonly string[]];

export const DESTINATIONS_PER_ACCOUNT_MAX = 100;
const URL_CHARACTERS_MAX = 8_000;
const HEADERS_MAX = 50;
const HEADER_BYTES_MAX = 8 * 1024;

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Tell of the event in each delivery. */
export const EVENT_HEADERS = ['x-event-id', 'x-event-type', 'x-delivery-attempt'] as const;

/** Hop-by-hop headers (RFC 9110, section 7.6.1), headers that frame the message, and our own. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  ...EVENT_HEADERS,
]);
/** Headers for proxies, and those that Data Pusher sets itself. */
const RESERVED_PREFIXES = ['proxy-', 'webhook-', 'data-pusher-'] as const;

/**
 * The text is stored exactly as given. Parsing only checks that it can be called.
 *
 * @param rule checks an address in the URL. Host names are checked at each connect, after they are resolved.
 */
export function parseDestinationUrl(text: string, rule?: AddressRule): string {
  const form = `The URL must be absolute, http or https, without user name and password, and of at most ${URL_CHARACTERS_MAX} characters.`;
  const url = text.length <= URL_CHARACTERS_MAX && /^https?:\/\/[^\s\p{Cc}]+$/iu.test(text) ? URL.parse(text) : null;
  if (url === null || !text.isWellFormed() || hasUserInfo(text)) {
    throw DomainError.badInput('url', form);
  }
  const address = addressInUrl(text);
  if (rule !== undefined && address !== undefined && !rule.allowsAddress(address)) {
    throw DomainError.badInput(
      'url',
      "The URL must not name an address that is private, reserved or this server's own.",
    );
  }
  return text;
}

// The parsed URL hides an empty user name, as in "http://@host".
function hasUserInfo(text: string): boolean {
  const authority = /^https?:[/\\]+([^/\\?#]*)/iu.exec(text)?.[1] ?? '';
  return authority.includes('@');
}

/** @param input a JSON object from the API */
export function parseHeaders(input: Readonly<Record<string, unknown>>): HeaderEntry[] {
  const entries = Object.entries(input).map(
    ([name, value]): HeaderEntry => [parseHeaderName(name), parseHeaderValue(value)],
  );
  const lines = entries.flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value]] : value.map((one) => [name, one]),
  );
  if (lines.length === 0 || lines.length > HEADERS_MAX) {
    throw badHeaders(`There must be at least one header and at most ${HEADERS_MAX}.`);
  }
  if (Buffer.byteLength(lines.flat().join('')) > HEADER_BYTES_MAX) {
    throw badHeaders(`All header names and values together have at most ${HEADER_BYTES_MAX} bytes.`);
  }
  return entries;
}

function parseHeaderName(name: string): string {
  if (!TOKEN.test(name)) {
    throw badHeaders("A header's name consists of letters, digits and !#$%&'*+-.^_`|~ only.");
  }
  const known = name.toLowerCase();
  if (RESERVED_NAMES.has(known) || RESERVED_PREFIXES.some((prefix) => known.startsWith(prefix))) {
    throw badHeaders(`The header ${known} is set by Data Pusher or belongs to the connection, and cannot be chosen.`);
  }
  return name;
}

function parseHeaderValue(value: unknown): string | string[] {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((one) => parseHeaderLine(one));
  }
  return parseHeaderLine(value);
}

function parseHeaderLine(value: unknown): string {
  if (typeof value !== 'string' || !value.isWellFormed() || CONTROL_CHARACTER.test(value)) {
    throw badHeaders("A header's value is a string, or a list of strings, without control characters.");
  }
  return value;
}

function badHeaders(rule: string): DomainError {
  return DomainError.badInput('headers', rule);
}

const DAY_MS = 86_400_000;
export const OVERLAP_DEFAULT_MS = DAY_MS;
const OVERLAP_MS_MAX = 30 * DAY_MS;

/** @throws DomainError BAD_USER_INPUT */
export function requireOverlap(milliseconds: number): void {
  if (milliseconds > OVERLAP_MS_MAX) {
    throw DomainError.badInput('overlap', 'The overlap must be an ISO 8601 duration from PT0S to P30D.');
  }
}
