import { readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';

/** The linter checks which room may import which. It cannot see a file that is in no room. */
test('the root of src holds two files and the rooms', () => {
  const entries = readdirSync('src', { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  expect(files.toSorted()).toEqual(['app.ts', 'main.ts']);
  const rooms = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(rooms.toSorted()).toEqual([
    'access',
    'commands',
    'config',
    'core',
    'dispatch',
    'graphql',
    'http',
    'ingest',
    'manage',
    'observe',
    'queue',
    'storage',
    'transform',
  ]);
});
