import { BlockList, isIP } from 'node:net';
import type { Config } from './config.ts';
import { ConfigError } from './environment.ts';

const ADMIN_TOKEN_CHARACTERS_MIN = 24;
const ENCRYPTION_KEY_BYTES = 32;
/** What a header can carry without quoting. */
const VISIBLE_ASCII = /^[\u0021-\u007e]+$/u;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Only programs on this machine can reach it. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0 ? host.toLowerCase() === 'localhost' : LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

export function parseAdminToken(text: string): string | undefined {
  if (text !== '' && (text.length < ADMIN_TOKEN_CHARACTERS_MIN || !VISIBLE_ASCII.test(text))) {
    throw new ConfigError(
      `ADMIN_TOKEN must have at least ${ADMIN_TOKEN_CHARACTERS_MIN} visible ASCII characters; make one with: openssl rand -hex 24`,
    );
  }
  return text === '' ? undefined : text;
}

/** As browsers write them, because they are compared as texts. */
export function parseOrigins(text: string): string[] {
  const origins = text === '' ? [] : text.split(',').map((part) => part.trim());
  if (!origins.every((origin) => /^https?:/u.test(origin) && URL.parse(origin)?.origin === origin)) {
    throw new ConfigError(
      'CORS_ORIGINS must be origins separated by commas, as browsers write them, such as https://app.example.com.',
    );
  }
  return origins;
}

/** Several are separated by commas; the first encrypts. */
export function parseEncryptionKeys(text: string): Buffer[] {
  const keys = text === '' ? [] : text.split(',').map((part) => decodeKey(part.trim()));
  if (new Set(keys.map((key) => key.toString('hex'))).size < keys.length) {
    throw new ConfigError('ENCRYPTION_KEY names the same key twice.');
  }
  return keys;
}

function decodeKey(text: string): Buffer {
  const key = Buffer.from(text, 'base64');
  // The decoder passes over whatever is no base64, so that only writing it again shows what it has understood.
  if (key.length !== ENCRYPTION_KEY_BYTES || key.toString('base64').replace(/=+$/u, '') !== text.replace(/=+$/u, '')) {
    throw new ConfigError(
      'ENCRYPTION_KEY must be 32 bytes in base64, or several of them separated by commas, of which the first encrypts; make one with: openssl rand -base64 32',
    );
  }
  return key;
}

/**
 * @throws ConfigError when others may reach the process and it has nothing to tell friend from foe by, or when it
 * would make a key that others who use its database do not have.
 */
export function requireSecrets({ isExposed, host, adminToken, encryptionKeys, roles, database }: Config): void {
  const missing = [
    roles.includes('api') && adminToken === undefined ? 'ADMIN_TOKEN (openssl rand -hex 24)' : '',
    encryptionKeys.length === 0 ? 'ENCRYPTION_KEY (openssl rand -base64 32)' : '',
  ].filter((name) => name !== '');
  if (isExposed && missing.length > 0) {
    throw new ConfigError(`With HOST=${host} others can reach Data Pusher, so it needs ${missing.join(' and ')}.`);
  }
  if (database.type === 'postgresql' && encryptionKeys.length === 0) {
    throw new ConfigError(
      'With a PostgreSQL DATABASE_URL all processes need the same ENCRYPTION_KEY: make one with openssl rand -base64 32, or give the one that an earlier version has kept in data/data-pusher.key.',
    );
  }
}
