import { randomBytes } from 'node:crypto';
import { Vault } from '../../src/core/vault.ts';

export const TEST_KEY = randomBytes(32);
export const TEST_VAULT = new Vault([TEST_KEY]);

/** For processes of the program that share a database. */
export const ENCRYPTION_KEY = TEST_KEY.toString('base64');
