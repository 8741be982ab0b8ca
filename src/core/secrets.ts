import { hash, randomBytes, randomInt } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 16;

/** An account's secret: 16 characters of A-Z a-z 0-9, 95 bits, every character equally likely. */
export function generateSecretToken(): string {
  return Array.from({ length: LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('');
}

/**
 * What the store knows a token by. A token is random enough (95 bits) to need no slow hash, and a look-up by the hash
 * takes the same time however much of a wrong token is right.
 */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** Marks a secret as one of Standard Webhooks. */
export const SIGNING_SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 24;

/** Standard Webhooks: `whsec_` and 24 random bytes in base64. */
export function generateSigningSecret(): string {
  return SIGNING_SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}
