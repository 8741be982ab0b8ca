import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PROGRAM, type ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const HEADER_VALUE = 'Bearer a-header-secret';
const TOKEN_OF = 'query ($id: ID!) { account(id: $id) { appSecretToken destinations { headers } } }';
const ROTATE = { command: [process.execPath, PROGRAM, 'rotate-keys'] };

let bench: Workbench;
let keyFile: string;

beforeEach(() => {
  bench = new Workbench();
  keyFile = `${bench.databasePath}.key`;
});
afterEach(() => bench.clear());

const newKey = (): string => randomBytes(32).toString('base64');

async function fill(server: ServerProcess): Promise<{ id: string; token: string }> {
  const { id, token } = await server.createAccount();
  await server.createDestination(id, 'http://127.0.0.1:1/', { headers: { Authorization: HEADER_VALUE } });
  return { id, token };
}

async function expectReadable(server: ServerProcess, { id, token }: { id: string; token: string }): Promise<void> {
  const { account } = await server.data(TOKEN_OF, { id });
  expect(account).toEqual({ appSecretToken: token, destinations: [{ headers: { Authorization: HEADER_VALUE } }] });
  await server.sendAccepted(token, '{}');
}

/** @returns the keys of the first secret of the account's destination and of the two that came after it. */
async function rotateSigningSecrets(server: ServerProcess, id: string): Promise<string[]> {
  const { account } = await server.data('query ($id: ID!) { account(id: $id) { destinations { id signingSecret } } }', {
    id,
  });
  const [destination] = account.destinations;
  const rotate = 'mutation ($id: ID!) { rotateSigningSecret(destinationId: $id) { signingSecret } }';
  const secrets: string[] = [destination.signingSecret];
  for (let rotation = 1; rotation <= 2; rotation += 1) {
    secrets.push((await server.data(rotate, { id: destination.id })).rotateSigningSecret.signingSecret);
  }
  return secrets.map((secret) => secret.replace('whsec_', ''));
}

/** All that lies around the database: the file, its log, what SQLite keeps beside them. */
function everyByte(): string {
  return readdirSync(bench.folder)
    .filter((name) => name.startsWith('test.db'))
    .map((name) => readFileSync(join(bench.folder, name), 'latin1'))
    .join('\n');
}

describe('the encryption key', () => {
  test('is made at the first start beside the database, for its owner alone, and used again', async () => {
    const first = await bench.start();
    const account = await fill(first);
    expect((statSync(keyFile).mode & 0o777).toString(8)).toBe('600');
    const key = readFileSync(keyFile, 'utf8');
    await first.end();
    const second = await bench.start();
    await expectReadable(second, account);
    expect(readFileSync(keyFile, 'utf8')).toBe(key);
    expect(readdirSync(bench.folder).filter((name) => name.includes('.key'))).toEqual(['test.db.key']);
  });

  test('a database whose key is lost is refused in one line, and opens again when the key is back', async () => {
    const first = await bench.start();
    const account = await fill(first);
    await first.end();
    renameSync(keyFile, join(bench.folder, 'away'));
    const refused = bench.spawn();
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^The database is encrypted with the key [^\n]* ENCRYPTION_KEY[^\n]*\n$/u);
    rmSync(keyFile);
    renameSync(join(bench.folder, 'away'), keyFile);
    await expectReadable(await bench.start(), account);
  });

  test.each(['', 'cut of'])('a key file that holds "%s" is refused in one line that names it', async (text) => {
    writeFileSync(keyFile, text);
    const refused = bench.spawn();
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^The key file [^\n]*test\.db\.key [^\n]*\n$/u);
    expect(readFileSync(keyFile, 'utf8')).toBe(text);
  });

  test('from the environment is not written anywhere', async () => {
    const ENCRYPTION_KEY = newKey();
    const server = await bench.start({ ENCRYPTION_KEY });
    await fill(server);
    await server.end();
    expect(existsSync(keyFile)).toBe(false);
    expect(everyByte()).not.toContain(ENCRYPTION_KEY);
    expect(server.stdout + server.stderr).not.toContain(ENCRYPTION_KEY);
  });

  test('can be changed: both open, rotate-keys brings all to the first, then the old one is needed no more', async () => {
    const [old, fresh] = [newKey(), newKey()];
    const before = await bench.start({ ENCRYPTION_KEY: old });
    const account = await fill(before);
    await before.end();

    const during = await bench.start({ ENCRYPTION_KEY: `${fresh},${old}` });
    await expectReadable(during, account);
    await during.end();

    for (const sealed of [2, 0]) {
      const rotation = bench.spawn({ ENCRYPTION_KEY: `${fresh},${old}` }, ROTATE);
      expect(await rotation.exited).toEqual({ code: 0, signal: null });
      expect(rotation.stdout).toContain(`${sealed} accounts and destinations were sealed anew.`);
    }
    await expectReadable(await bench.start({ ENCRYPTION_KEY: fresh }), account);
  });
});

test('no token, header value or signing secret is in the database, its log, what the server prints or what it refuses with', async () => {
  const server = await bench.start({ LOG_LEVEL: 'trace' });
  const { id, token } = await fill(server);
  const wrong = `${token.slice(0, -1)}!`;
  const refusals = [
    await (await server.send(wrong, '{}')).text(),
    await (await server.send(token, 'not JSON')).text(),
    JSON.stringify(
      await server.graphql('mutation ($id: ID!) { updateAccount(id: $id, input: { name: "" }) { id } }', { id }),
    ),
  ];
  await server.sendAccepted(token, '{}');
  const rotated = await server.data('mutation ($id: ID!) { rotateAppSecretToken(accountId: $id) { appSecretToken } }', {
    id,
  });
  const signingSecrets = await rotateSigningSecrets(server, id);
  await server.sendAccepted(rotated.rotateAppSecretToken.appSecretToken, '{}');
  const whileItRuns = everyByte();
  await server.end();
  const everything = [whileItRuns, everyByte(), server.stdout, server.stderr, ...refusals].join('\n');
  expect(whileItRuns).toContain(id);
  for (const secret of [token, rotated.rotateAppSecretToken.appSecretToken, 'a-header-secret', ...signingSecrets]) {
    expect(everything).not.toContain(secret);
  }
});
