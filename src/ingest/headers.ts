import { MIMEType } from 'node:util';
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../access/http-error.ts';
import { faultInEventType } from '../core/event-type.ts';

/**
 * JSON is UTF-8 (RFC 8259, section 8.1). Any other declared charset is refused.
 *
 * @param allowed media types
 * @returns the media type, without parameters
 * @throws HttpError 400
 */
export function mediaTypeOf<Type extends string>(value: string | undefined, allowed: readonly Type[]): Type {
  const plain = allowed.find((type) => type === value);
  if (plain !== undefined) {
    return plain;
  }
  const type = parse(value);
  const known = allowed.find((one) => one === type?.essence);
  if (type === undefined || known === undefined) {
    throw HttpError.invalid(`The content type must be ${allowed.join(' or ')}.`);
  }
  const charset = type.params.get('charset')?.toLowerCase() ?? 'utf-8';
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw HttpError.invalid('The charset must be UTF-8.');
  }
  return known;
}

function parse(value: string | undefined): MIMEType | undefined {
  try {
    return value === undefined ? undefined : new MIMEType(value);
  } catch {
    return undefined;
  }
}

/** In order of precedence. An upstream that sends Standard Webhooks identifies each event by `webhook-id`. */
const KEY_HEADERS = ['Idempotency-Key', 'webhook-id'];
/** Node joins repeated headers with a comma and a space, so they do not match. */
const KEY = /^[\u0021-\u007e]{1,255}$/u;

/**
 * An event with the same key is the same event, however often it is sent.
 *
 * @returns null when the sender gave no key
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

/** The second is CloudEvents'. */
const TYPE_HEADERS = ['X-Event-Type', 'ce-type'];

/**
 * @returns null when the sender named no type
 * @throws HttpError 400
 */
export function eventTypeOf(request: IncomingMessage): string | null {
  let type: string | null = null;
  for (const name of TYPE_HEADERS) {
    const value = request.headers[name.toLowerCase()];
    if (value !== undefined) {
      const named = checkedType(name, request);
      if (type !== null && type !== named) {
        throw HttpError.invalid(`${TYPE_HEADERS.join(' and ')} name different event types.`);
      }
      type = named;
    }
  }
  return type;
}

function checkedType(name: string, { headersDistinct }: IncomingMessage): string {
  const [type = '', ...others] = headersDistinct[name.toLowerCase()] ?? [];
  if (others.length > 0) {
    throw HttpError.invalid(`${name} must be sent once.`);
  }
  const fault = faultInEventType(type);
  if (fault !== undefined) {
    throw HttpError.invalid(`${name}: ${fault}`);
  }
  return type;
}

/** Deliveries that lead back here this often form a loop. */
const HOPS_MAX = 4;

/**
 * How many times this or another Data Pusher delivered the event before it arrived here. A destination may be the ingest
 * of a Data Pusher whose destination leads back here. Nothing else in the event reveals such a loop.
 *
 * @returns 0 for an event from its original source
 * @throws HttpError 400, and 508 for a loop
 */
export function hopsOf({ headers }: IncomingMessage): number {
  const value = headers['data-pusher-hops'] ?? '0';
  // Node joins repeated headers with a comma and a space, so they do not match.
  if (typeof value !== 'string' || !/^\d+$/u.test(value)) {
    throw HttpError.invalid('Data-Pusher-Hops must be a whole number, and be sent once.');
  }
  if (Number(value) > HOPS_MAX) {
    throw HttpError.loopDetected();
  }
  return Number(value);
}
