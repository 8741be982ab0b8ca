import { ConfigError } from './config.ts';
import { VaultError } from './core/vault.ts';
import { CopyError } from './storage/copy-store.ts';
import { DatabaseFileError } from './storage/file-error.ts';
import { NewerDatabaseError } from './storage/newer-database.ts';
import { DatabaseServerError } from './storage/postgresql/server-error.ts';
import { DatabaseInUseError } from './storage/sqlite/sole-owner.ts';

/** What is wrong and what to do about it, in one line. */
const FOR_THE_OPERATOR = [
  ConfigError,
  CopyError,
  DatabaseFileError,
  DatabaseInUseError,
  DatabaseServerError,
  NewerDatabaseError,
  VaultError,
];

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program; choose another PORT.',
  EACCES: 'may not be used by this user; choose a PORT above 1023.',
  EADDRNOTAVAIL: 'does not exist on this machine; choose another HOST.',
  ENOTFOUND: 'is unknown; choose another HOST.',
};

/** What an operator can mend is told in one line; anything else with its stack trace. */
export function explain(error: unknown): string {
  if (FOR_THE_OPERATOR.some((kind) => error instanceof kind)) {
    return (error as Error).message;
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    const { address, port } = error as { address?: string; port?: number };
    const place = [address, port].filter((part) => part !== undefined).join(':');
    const reason = LISTEN_ERRORS[String(error.code)];
    return reason === undefined ? error.message : `The address ${place} ${reason}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
