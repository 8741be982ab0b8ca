import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Config, ConfigError, type DatabaseConfig } from './config.ts';
import { parseEncryptionKeys } from './secrets.ts';
import { Vault } from '../core/vault.ts';
import { explainFileError } from '../storage/errors.ts';

type SqliteConfig = Extract<DatabaseConfig, { type: 'sqlite' }>;

const OWNER_ONLY = 0o600;
const KEY_BYTES = 32;

/**
 * The keys that the configuration names, or else one that is made at the first start and kept beside the SQLite file.
 *
 * @throws ConfigError when the file holds no key; DatabaseFileError or an Error with a `syscall` when it cannot be used.
 */
export function loadVault({ encryptionKeys, database }: Pick<Config, 'encryptionKeys' | 'database'>): Vault {
  const [first, ...others] = encryptionKeys.length > 0 ? encryptionKeys : keptKeys(database);
  if (first === undefined) {
    throw new Error('There is no encryption key.');
  }
  return new Vault([first, ...others]);
}

/** @returns undefined for a database in memory, which needs its key no longer than it lives. */
export function keyFileOf({ path }: SqliteConfig): string | undefined {
  if (path === ':memory:') {
    return undefined;
  }
  const beside = `${path}.key`;
  // Beside the file itself, where the path is that of a link to it.
  return existsSync(beside) || !existsSync(path) ? beside : `${realpathSync(path)}.key`;
}

function keptKeys(database: DatabaseConfig): readonly Buffer[] {
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
    throw explainFileError(database.path, error);
  }
}

function readOrMake(path: string): readonly Buffer[] {
  try {
    return readKeys(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
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
    `The key file ${path} does not hold 32 bytes in base64: put the key back that was in it, or set ENCRYPTION_KEY.`,
    { cause },
  );
}

/** Written under another name first: of several processes that start together one makes the key, whole, for all. */
function makeKey(path: string): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: OWNER_ONLY, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  } finally {
    rmSync(draft);
  }
}
