/**
 * How a receiver tells that a delivery comes from Data Pusher, without any package. The packages of
 * https://www.standardwebhooks.com do the same in many languages.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A delivery that is older was recorded, and is being played back. */
const TOLERANCE_SECONDS = 300;

/**
 * @param content the body exactly as it arrived, before any parsing; of a GET the query string without the "?"
 * @param headers with names in lower case
 * @param secret the destination's `signingSecret`: "whsec_" and the key in base64
 */
export function isGenuine(content: Buffer, headers: Headers, secret: string): boolean {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    String(headers[name]),
  ) as [string, string, string];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS)) {
    return false;
  }
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(content).digest();
  // While a secret is being rotated there are two: one of each secret.
  return signatures
    .split(' ')
    .filter((signature) => signature.startsWith('v1,'))
    .map((signature) => Buffer.from(signature.slice('v1,'.length), 'base64'))
    .some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
}
