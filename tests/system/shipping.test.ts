import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const compose = read('compose.yaml');
const configured = namesIn(read('src/config/config.ts'), /environment\.\w+\('([A-Z_]+)'/g);

test('the README lists every variable that the program reads, and no other', () => {
  const listed = namesIn(section(read('README.md'), '## Configuration'), /^\| `([A-Z_]+)`/gm);

  expect(configured.size).toBeGreaterThan(5);
  expect(listed).toEqual(configured);
});

test('compose.yaml sets only variables that the program reads', () => {
  const block = section(compose, 'x-environment:', 'services:') + section(compose, 'services:', '  proxy:');
  const set = namesIn(block, /^ +([A-Z_]+): /gm);

  expect(set).toContain('ROLES');
  expect([...set].filter((name) => !configured.has(name))).toEqual([]);
});

test('.env.example lists every value that compose.yaml asks for, and no other', () => {
  const asked = namesIn(compose, /\$\{([A-Z_]+)/g);

  expect(asked.size).toBeGreaterThan(0);
  expect(namesIn(read('.env.example'), /^([A-Z_]+)=/gm)).toEqual(asked);
});

test('what the image is made of exists, and Docker is given it', () => {
  const copies = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
  const sources = copies.flatMap(([, list = '']) => list.split(' '));
  const given = namesIn(read('.dockerignore'), /^!(.+)$/gm);

  expect(sources).toContain('src');
  expect(sources.filter((path) => !existsSync(path))).toEqual([]);
  expect(new Set(sources)).toEqual(given);
});

test('the image has the Node that package.json brings along', () => {
  const [, version] = /^FROM node:([\d.]+)-slim/m.exec(read('Dockerfile')) ?? [];
  const manifest = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };

  expect(new Set(Object.values(manifest.optionalDependencies))).toEqual(new Set([version]));
});

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

function namesIn(text: string, pattern: RegExp): Set<string> {
  return new Set([...text.matchAll(pattern)].map(([, name = '']) => name));
}

function section(text: string, from: string, to = '\n## '): string {
  const start = text.indexOf(from) + from.length;
  return text.slice(start, text.indexOf(to, start));
}
