import ipaddr from 'ipaddr.js';
import { parseAddress } from '../core/address-rule.ts';
import { ConfigError } from './environment.ts';

const ADMIN_TOKEN_CHARACTERS_MIN = 24;
const ENCRYPTION_KEY_BYTES = 32;
/** A header can carry these without quoting. */
const VISIBLE_ASCII = /^[\u0021-\u007e]+$/u;

/** True when only programs on this machine can reach a server on the host. */
export function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  return address === undefined
    ? host.toLowerCase() === 'localhost'
    : ipaddr.process(address.toString()).range() === 'loopback';
}

export function parseAdminToken(text: string): string | undefined {
  if (text !== '' && (text.length < ADMIN_TOKEN_CHARACTERS_MIN || !VISIBLE_ASCII.test(text))) {
    throw new ConfigError(
      `ADMIN_TOKEN must have at least ${ADMIN_TOKEN_CHARACTERS_MIN} visible ASCII characters; make one with: openssl rand -hex 24`,
    );
  }
  return text === '' ? undefined : text;
}

/** Origins must be spelled as browsers spell them, because they are compared as text. */
export function parseOrigins(text: string): string[] {
  const origins = text === '' ? [] : text.split(',').map((part) => part.trim());
  if (!origins.every((origin) => /^https?:/u.test(origin) && URL.parse(origin)?.origin === origin)) {
    throw new ConfigError(
      'CORS_ORIGINS must be origins separated by commas, as browsers write them, such as https://app.example.com.',
    );
  }
  return origins;
}

/** Keys are separated by commas. The first one encrypts. */
export function parseEncryptionKeys(text: string): Buffer[] {
  const keys = text === '' ? [] : text.split(',').map((part) => decodeKey(part.trim()));
  if (new Set(keys.map((key) => key.toString('hex'))).size < keys.length) {
    throw new ConfigError('ENCRYPTION_KEY names the same key twice.');
  }
  return keys;
}

function decodeKey(text: string): Buffer {
  const key = Buffer.from(text, 'base64');
  // Node's decoder skips characters that are not base64. Encoding the result again shows whether it skipped any.
  if (key.length !== ENCRYPTION_KEY_BYTES || key.toString('base64').replace(/=+$/u, '') !== text.replace(/=+$/u, '')) {
    throw new ConfigError(
      'ENCRYPTION_KEY must be 32 bytes in base64, or several of them separated by commas, of which the first encrypts; make one with: openssl rand -base64 32',
    );
  }
  return key;
}

interface Secrets {
  readonly isExposed: boolean;
  readonly host: string;
  readonly adminToken: string | undefined;
  readonly encryptionKeys: readonly Buffer[];
  readonly roles: readonly string[];
  readonly database: { readonly type: string };
}

/**
 * @throws ConfigError when others can reach the process and it has no secrets, or when it would make a key that the other
 * processes on its database do not have
 */
export function requireSecrets({ isExposed, host, adminToken, encryptionKeys, roles, database }: Secrets): void {
  const missing = [
    roles.includes('api') && adminToken === undefined ? 'ADMIN_TOKEN (openssl rand -hex 24)' : '',
    encryptionKeys.length === 0 ? 'ENCRYPTION_KEY (openssl rand -base64 32)' : '',
  ].filter((name) => name !== '');
  if (isExposed && missing.length > 0) {
    throw new ConfigError(`With HOST=${host} others can reach Data Pusher, so it needs ${missing.join(' and ')}.`);
  }
  if (database.type === 'postgresql' && encryptionKeys.length === 0) {
    throw new ConfigError(
      'With a PostgreSQL DATABASE_URL all processes need the same ENCRYPTION_KEY: make one with openssl rand -base64 32, or use the one that an earlier version stored in data/data-pusher.key.',
    );
  }
}
