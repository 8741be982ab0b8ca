import { createHmac } from 'node:crypto';
import { SIGNING_SECRET_PREFIX } from './signing-secret.ts';

/** A secret that a destination's deliveries are signed with. */
export interface SigningSecret {
  readonly secret: string;
  /** Milliseconds since the Unix epoch; `null` for the newest, which signs until it is rotated. */
  readonly signsUntil: number | null;
}

export interface SignedContent {
  readonly id: string;
  /** In seconds since the Unix epoch, as it is sent. */
  readonly timestamp: string;
  readonly body: Buffer | string;
}

/**
 * The value of `webhook-signature` after the Standard Webhooks specification: one signature for each secret,
 * separated by spaces, so that a receiver may know either while a secret is being rotated.
 */
export function signatureHeader(content: SignedContent, secrets: readonly SigningSecret[], now: number): string {
  return secrets
    .filter(({ signsUntil }) => signsUntil === null || now < signsUntil)
    .map(({ secret }) => `v1,${sign(content, secret)}`)
    .join(' ');
}

function sign({ id, timestamp, body }: SignedContent, secret: string): string {
  const key = Buffer.from(secret.slice(SIGNING_SECRET_PREFIX.length), 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
}
