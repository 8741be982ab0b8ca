import { randomBytes } from 'node:crypto';
import { Vault } from '../../src/core/vault.ts';

/** For stores that no process of the program opens. */
export const TEST_KEY = randomBytes(32);
export const TEST_VAULT = new Vault([TEST_KEY]);
