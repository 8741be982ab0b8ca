import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Vault } from '../core/vault.ts';
import { toFileError } from '../storage/errors.ts';
import { type Config, ConfigError, type DatabaseConfig } from './config.ts';
import { parseEncryptionKeys } from './secrets.ts';

type SqliteConfig = Extract<DatabaseConfig, { type: 'sqlite' }>;

const OWNER_ONLY = 0o600;
const KEY_BYTES = 32;

/**
 * Uses the configured keys. Without any, the first start makes a key and stores it beside the SQLite file.
 *
 * @throws ConfigError when the file contains no key; DatabaseFileError or an Error with a `syscall` when it cannot be used
 */
export function loadVault({ encryptionKeys, database }: Pick<Config, 'encryptionKeys' | 'database'>): Vault {
  const [first, ...others] = encryptionKeys.length > 0 ? encryptionKeys : storedKeys(database);
  if (first === undefined) {
    throw new Error('There is no encryption key.');
  }
  return new Vault([first, ...others]);
}

/** @returns `undefined` for a database in memory, whose key is not stored */
export function keyFileOf({ path }: SqliteConfig): string | undefined {
  if (path === ':memory:') {
    return undefined;
  }
  const beside = `${path}.key`;
  // If the path is a symbolic link, the key is beside the file that it leads to.
  return existsSync(beside) || !existsSync(path) ? beside : `${realpathSync(path)}.key`;
}

function storedKeys(database: DatabaseConfig): readonly Buffer[] {
  if (database.type === 'postgresql') {
    return [];
  }
  const path = keyFileOf(database);
  if (path === undefined) {
    return [randomBytes(KEY_BYTES)];
  }
  try {
    return readOrMake(path);
  } catch (error) {
    throw toFileError(database.path, error);
  }
}

function readOrMake(path: string): readonly Buffer[] {
  try {
    return readKeys(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) {
      throw error;
    }
    makeKey(path);
    return readKeys(path);
  }
}

function readKeys(path: string): Buffer[] {
  const text = readFileSync(path, 'utf8').trim();
  try {
    const keys = parseEncryptionKeys(text);
    if (keys.length > 0) {
      return keys;
    }
  } catch (error) {
    throw unusable(path, error);
  }
  throw unusable(path);
}

function unusable(path: string, cause?: unknown): ConfigError {
  return new ConfigError(
    `The key file ${path} does not contain 32 bytes in base64: restore the key that was in it, or set ENCRYPTION_KEY.`,
    { cause },
  );
}

/** Writes the file under another name and links it: of several processes that start together, one makes the key for all. */
function makeKey(path: string): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: OWNER_ONLY, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) {
      throw error;
    }
  } finally {
    rmSync(draft);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
