import { createHmac } from 'node:crypto';
import { SIGNING_SECRET_PREFIX } from './secrets.ts';

/** A secret that signs a destination's deliveries. */
export interface SigningSecret {
  readonly secret: string;
  /** Milliseconds since the Unix epoch; `null` for the newest secret, which signs until it is rotated. */
  readonly signsUntil: number | null;
}

/** A decoded signing secret. */
export interface SigningKey {
  readonly key: Buffer;
  readonly signsUntil: number | null;
}

interface SignedContent {
  readonly id: string;
  /** Seconds since the Unix epoch, as sent. */
  readonly timestamp: string;
  readonly body: Buffer | string;
}

export function signingKeyOf({ secret, signsUntil }: SigningSecret): SigningKey {
  return { key: Buffer.from(secret.slice(SIGNING_SECRET_PREFIX.length), 'base64'), signsUntil };
}

/**
 * The value of `webhook-signature` according to the Standard Webhooks specification: one signature per key, separated
 * by spaces, so that a receiver may know either secret during a rotation.
 */
export function signatureHeader(content: SignedContent, keys: readonly SigningKey[], now: number): string {
  return keys
    .filter(({ signsUntil }) => signsUntil === null || now < signsUntil)
    .map(({ key }) => `v1,${sign(content, key)}`)
    .join(' ');
}

function sign({ id, timestamp, body }: SignedContent, key: Buffer): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
}
