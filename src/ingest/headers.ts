import { MIMEType } from 'node:util';
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../access/http-error.ts';

/**
 * JSON is UTF-8 (RFC 8259, 8.1); any other declared charset is refused rather than guessed.
 *
 * @throws HttpError 400
 */
export function checkContentType(value: string | undefined): void {
  if (value === 'application/json') {
    return;
  }
  const type = parse(value);
  if (type?.essence !== 'application/json') {
    throw HttpError.invalid('The content type must be application/json.');
  }
  const charset = type.params.get('charset')?.toLowerCase() ?? 'utf-8';
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw HttpError.invalid('The charset must be UTF-8.');
  }
}

function parse(value: string | undefined): MIMEType | undefined {
  try {
    return value === undefined ? undefined : new MIMEType(value);
  } catch {
    return undefined;
  }
}

/** In the order in which they are asked: an upstream that delivers webhooks names each by `webhook-id`. */
const KEY_HEADERS = ['Idempotency-Key', 'webhook-id'];
/** Node joins headers that are sent twice with a comma and a space, so they do not pass. */
const KEY = /^[\u0021-\u007e]{1,255}$/u;

/**
 * What the sender calls the event, so that sending it again is not another event.
 *
 * @returns null when it has no name for it
 * @throws HttpError 400
 */
export function idempotencyKeyOf({ headers }: IncomingMessage): string | null {
  for (const name of KEY_HEADERS) {
    const value = headers[name.toLowerCase()];
    if (value !== undefined) {
      return checked(name, value.toString());
    }
  }
  return null;
}

function checked(name: string, value: string): string {
  if (!KEY.test(value)) {
    throw HttpError.invalid(`${name} must be 1 to 255 visible ASCII characters, and be sent once.`);
  }
  return value;
}

/** An event that comes back so often goes round in a circle. */
const HOPS_MAX = 4;

/**
 * How many times the event was delivered by a Data Pusher, this one or another, before it came here. A destination
 * may lead to an ingest, and that one's destination back again; nobody else can tell that it is the same event.
 *
 * @returns 0 for one that comes from its source
 * @throws HttpError 400, and 508 for one that has come too far
 */
export function hopsOf({ headers }: IncomingMessage): number {
  const value = headers['data-pusher-hops'] ?? '0';
  // Node joins headers that are sent twice with a comma and a space, so they do not pass.
  if (typeof value !== 'string' || !/^\d+$/u.test(value)) {
    throw HttpError.invalid('Data-Pusher-Hops must be a whole number, and be sent once.');
  }
  if (Number(value) > HOPS_MAX) {
    throw HttpError.loopDetected();
  }
  return Number(value);
}
