import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig, parseDatabaseUrl } from '../config/config.ts';
import { keyFileOf, loadVault } from '../config/key-file.ts';
import { openStorage, openStorageForCommand } from '../storage/open-storage.ts';
import { type CopiedTable, CopyError, copyStore } from '../storage/copy-store.ts';

/** Migrates the configured database and prints the migrations that were applied. */
export async function migrate(): Promise<void> {
  const config = loadConfig();
  const storage = await openStorage(config.database, loadVault(config));
  await storage.close();
  const lines = storage.migrated.map((name) => `Applied the migration ${name}.`);
  process.stdout.write(`${lines.join('\n') || 'There was no migration to apply.'}\n`);
}

/** Copies everything from a SQLite file that no process uses to a PostgreSQL database. Can be repeated if interrupted. */
export async function migrateStore(options: readonly string[]): Promise<void> {
  const { from, to } = parseOptions(options);
  // Secrets are copied sealed, so the target needs the keys of the source.
  const { encryptionKeys } = loadConfig();
  const vault = loadVault({ encryptionKeys, database: from });
  const source = await openStorageForCommand(from, vault);
  try {
    const target = await openStorageForCommand(to, vault);
    try {
      const tables = await copyStore(source, target, { onTable: printTable });
      if (!tables.every(({ isSame }) => isSame)) {
        throw new CopyError(
          'The two databases differ: one of them has been used since the copy began. Copy again, to an empty database.',
        );
      }
      process.stdout.write('Both databases hold the same.\n');
      if (encryptionKeys.length === 0) {
        process.stdout.write(
          `Their secrets open with the key in ${keyFileOf(from)}: give it as ENCRYPTION_KEY from now on.\n`,
        );
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

function printTable({ name, inSource, inTarget }: CopiedTable): void {
  process.stdout.write(`${name}: ${inSource} in the source, ${inTarget} in the target\n`);
}

function parseOptions(options: readonly string[]) {
  const { from, to } = parse(options);
  const source = parseDatabaseUrl('--from', from ?? '');
  const target = parseDatabaseUrl('--to', to ?? '');
  if (source.type !== 'sqlite' || target.type !== 'postgresql') {
    throw new ConfigError('The copy goes from SQLite to PostgreSQL: --from sqlite:PATH --to postgresql://...');
  }
  // Opening it would create an empty file, and the copy would silently copy nothing.
  if (!existsSync(source.path)) {
    throw new ConfigError(`--from names ${source.path}, which does not exist.`);
  }
  return { from: source, to: target };
}

function parse(options: readonly string[]): { from?: string; to?: string } {
  try {
    return parseArgs({ args: [...options], options: { from: { type: 'string' }, to: { type: 'string' } } }).values;
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
