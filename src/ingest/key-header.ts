import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/** In the order in which they are asked: an upstream that delivers webhooks names each by `webhook-id`. */
const KEY_HEADERS = ['Idempotency-Key', 'webhook-id'];
/** Node joins headers that are sent twice with a comma and a space, so they do not pass. */
const KEY = /^[\u0021-\u007e]{1,255}$/u;

/**
 * What the sender calls the event, so that sending it again is not another event.
 *
 * @returns null when it has no name for it
 * @throws Refusal 400
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
    throw Refusal.invalid(`${name} must be 1 to 255 visible ASCII characters, and be sent once.`);
  }
  return value;
}
