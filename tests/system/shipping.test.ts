import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const compose = read('compose.yaml');
const program = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const configured = namesIn(program.map((path) => read(`src/${path}`)).join('\n'), /environment\.\w+\('([A-Z_]+)'/g);
/** They are those inside the containers; `PORT` of .env is the port that the proxy is published at. */
const SET_BY_THE_IMAGE = ['HOST', 'PORT'];

test('docs/configuration.md lists every variable that the program reads, and no other', () => {
  const listed = namesIn(section(read('docs/configuration.md'), '## Settings'), /^\| `([A-Z_]+)`/gm);

  expect(configured.size).toBeGreaterThan(5);
  expect(listed).toEqual(configured);
});

test('compose.yaml gives the processes every variable that they read, and no other', () => {
  const block = section(compose, 'x-environment:', 'services:') + section(compose, 'services:', '  proxy:');
  const set = namesIn(block, /^ +([A-Z_]+): /gm);

  expect(set).toContain('ROLES');
  expect(new Set([...set, ...SET_BY_THE_IMAGE])).toEqual(configured);
});

test('every setting of compose.yaml but the role can be chosen in .env', () => {
  const fixed = [...compose.matchAll(/^ +([A-Z_]+): (?!\$\{\1:)/gm)].map(([, name = '']) => name);

  expect(fixed.filter((name) => configured.has(name))).toEqual(['ROLES', 'ROLES']);
  expect(compose).toContain('127.0.0.1:${PORT:-4000}:8080');
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
