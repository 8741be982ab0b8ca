import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

const manifest = findPackageJSON(import.meta.url) as string;

/** As `package.json` says. */
export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
