import { randomBytes } from 'node:crypto';

/** Marks a secret as one of Standard Webhooks. */
export const SIGNING_SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 24;

/** Standard Webhooks: `whsec_` and 24 random bytes in base64. */
export function generateSigningSecret(): string {
  return SIGNING_SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}
