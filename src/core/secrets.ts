import { hash, randomBytes, randomInt } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 16;

/** An account's token: 16 random characters of A-Z a-z 0-9, which is 95 bits. */
export function generateSecretToken(): string {
  return Array.from({ length: LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('');
}

/**
 * The store holds only hashes of tokens. A fast hash is enough, because tokens have 95 random bits. The time of a look-up
 * does not depend on how much of a wrong token is right.
 */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** The prefix of secrets in Standard Webhooks. */
export const SIGNING_SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 24;

/** As Standard Webhooks specifies: `whsec_` and 24 random bytes in base64. */
export function generateSigningSecret(): string {
  return SIGNING_SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}
