import { createHmac } from 'node:crypto';
import { SIGNING_SECRET_PREFIX } from './secrets.ts';

/** A secret that a destination's deliveries are signed with. */
export interface SigningSecret {
  readonly secret: string;
  /** Milliseconds since the Unix epoch; `null` for the newest, which signs until it is rotated. */
  readonly signsUntil: number | null;
}

/** The same, decoded for use. */
export interface SigningKey {
  readonly key: Buffer;
  readonly signsUntil: number | null;
}

export interface SignedContent {
  readonly id: string;
  /** In seconds since the Unix epoch, as it is sent. */
  readonly timestamp: string;
  readonly body: Buffer | string;
}

export function signingKeyOf({ secret, signsUntil }: SigningSecret): SigningKey {
  return { key: Buffer.from(secret.slice(SIGNING_SECRET_PREFIX.length), 'base64'), signsUntil };
}

/**
 * The value of `webhook-signature` after the Standard Webhooks specification: one signature for each key,
 * separated by spaces, so that a receiver may know either secret while it is being rotated.
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
