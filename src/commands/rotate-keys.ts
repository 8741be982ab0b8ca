import { loadConfig } from '../config/config.ts';
import { EVERYTHING } from '../core/scope.ts';
import { loadVault } from '../config/key-file.ts';
import { sealAnew } from '../storage/sealing.ts';
import { openStorageForCommand } from '../storage/open-storage.ts';

/** Seals all secrets with the first key of ENCRYPTION_KEY. Afterwards the other keys are no longer needed. */
export async function rotateKeys(): Promise<void> {
  const config = loadConfig();
  const vault = loadVault(config);
  const storage = await openStorageForCommand(config.database, vault);
  try {
    const sealed = await sealAnew(storage.fork(EVERYTHING).getKysely(), vault);
    process.stdout.write(`${sealed} accounts and destinations were sealed anew. All use the first key now.\n`);
  } finally {
    await storage.close();
  }
}
