import type { Vault } from '../core/vault.ts';
import type { DatabaseOptions, Storage, StorageOverrides } from './storage.ts';

/**
 * Loads the code of the database that is used, and not the other's.
 *
 * @throws DatabaseInUseError, DatabaseFileError, DatabaseServerError, NewerDatabaseError, VaultError
 */
export async function openStorage(
  options: DatabaseOptions,
  vault: Vault,
  overrides: StorageOverrides = {},
): Promise<Storage> {
  if (options.type === 'sqlite') {
    const { openSqlite } = await import('./sqlite/open.ts');
    return openSqlite(options, vault, overrides);
  }
  const { openPostgresql } = await import('./postgresql/open.ts');
  return openPostgresql(options, vault, overrides);
}

/** The same for a command that is run by hand, whose statements may work on whole tables. */
export function openStorageForCommand(options: DatabaseOptions, vault: Vault): Promise<Storage> {
  return openStorage(options.type === 'sqlite' ? options : { ...options, isUnhurried: true }, vault);
}

/** For MikroORM's command line. */
export async function ormOptions(database: DatabaseOptions) {
  return database.type === 'sqlite'
    ? (await import('./sqlite/open.ts')).sqliteOptions(database)
    : (await import('./postgresql/open.ts')).postgresqlOptions(database);
}
