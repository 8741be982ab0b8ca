import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig, parseDatabaseUrl } from '../config/config.ts';
import { keyFileOf, loadVault } from '../config/key-file.ts';
import { openStorage, openStorageForCommand } from '../storage/storage.ts';
import { type CopiedTable, CopyError, copyStore } from '../storage/copy-store.ts';

/** Brings the database that is configured up to date, and says what that took. */
export async function migrate(): Promise<void> {
  const config = loadConfig();
  const storage = await openStorage(config.database, loadVault(config));
  await storage.close();
  const lines = storage.migrated.map((name) => `Applied the migration ${name}.`);
  process.stdout.write(`${lines.join('\n') || 'There was no migration to apply.'}\n`);
}

/** Moves everything from a SQLite file that nobody serves to a PostgreSQL database; may be run again after it was cut off. */
export async function migrateStore(options: readonly string[]): Promise<void> {
  const { from, to } = parseOptions(options);
  // What is copied stays sealed as it is, so the target needs the keys of the source.
  const { encryptionKeys } = loadConfig();
  const vault = loadVault({ encryptionKeys, database: from });
  const source = await openStorageForCommand(from, vault);
  try {
    const target = await openStorageForCommand(to, vault);
    try {
      const tables = await copyStore(source, target, { onTable: tell });
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

function tell({ name, inSource, inTarget }: CopiedTable): void {
  process.stdout.write(`${name}: ${inSource} in the source, ${inTarget} in the target\n`);
}

function parseOptions(options: readonly string[]) {
  const { from, to } = parse(options);
  const source = parseDatabaseUrl('--from', from ?? '');
  const target = parseDatabaseUrl('--to', to ?? '');
  if (source.type !== 'sqlite' || target.type !== 'postgresql') {
    throw new ConfigError('The way is from SQLite to PostgreSQL: --from sqlite:PATH --to postgresql://...');
  }
  // Opening it would make a new file, and copy nothing without a complaint.
  if (!existsSync(source.path)) {
    throw new ConfigError(`--from names ${source.path}, which does not exist.`);
  }
  return { from: source, to: target };
}

function parse(options: readonly string[]): { from?: string; to?: string } {
  try {
    return parseArgs({ args: [...options], options: { from: { type: 'string' }, to: { type: 'string' } } }).values;
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}
