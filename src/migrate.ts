import { loadConfig } from './config.ts';
import { openStorage } from './storage/storage.ts';

/** Brings the database that is configured up to date, and says what that took. */
export async function migrate(): Promise<void> {
  const storage = await openStorage(loadConfig().database);
  await storage.close();
  const lines = storage.migrated.map((name) => `Applied the migration ${name}.`);
  process.stdout.write(`${lines.join('\n') || 'There was no migration to apply.'}\n`);
}
