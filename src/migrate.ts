import { loadConfig } from './config.ts';
import { loadVault } from './key-file.ts';
import { openStorage } from './storage/storage.ts';

/** Brings the database that is configured up to date, and says what that took. */
export async function migrate(): Promise<void> {
  const config = loadConfig();
  const storage = await openStorage(config.database, loadVault(config));
  await storage.close();
  const lines = storage.migrated.map((name) => `Applied the migration ${name}.`);
  process.stdout.write(`${lines.join('\n') || 'There was no migration to apply.'}\n`);
}
