import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { Vault, VaultError } from '../../src/core/vault.ts';

const [OLD, NEW] = [randomBytes(32), randomBytes(32)];
const OWNER = '01a20000-0000-7000-8000-000000000001';
const OTHER = '01a20000-0000-7000-8000-000000000002';
const SECRET = 'Bearer é "quoted" \u{1f511}';

describe('Vault', () => {
  test('opens what it has sealed, for the same owner', () => {
    const vault = new Vault([NEW]);
    for (const secret of [SECRET, '', 'x'.repeat(100_000)]) {
      expect(vault.open(vault.seal(secret, OWNER), OWNER)).toBe(secret);
    }
  });

  test('what is sealed shows nothing of the secret, and never looks the same twice', () => {
    const vault = new Vault([NEW]);
    const [first, second] = [vault.seal(SECRET, OWNER), vault.seal(SECRET, OWNER)];
    expect(first).not.toBe(second);
    expect(first).toMatch(/^v1\.[0-9a-f]{8}\.[\w-]+$/u);
    expect(Buffer.from(first.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('Bearer');
  });

  test("another owner's secret does not open", () => {
    const vault = new Vault([NEW]);
    expect(() => vault.open(vault.seal(SECRET, OWNER), OTHER)).toThrow(VaultError);
  });

  test('a secret that was changed anywhere does not open, and the error does not tell it', () => {
    const vault = new Vault([NEW]);
    const sealed = vault.seal(SECRET, OWNER);
    const [mark, content] = [sealed.slice(0, 12), Buffer.from(sealed.slice(12), 'base64url')];
    for (let at = 0; at < content.length; at += 1) {
      const changed = Buffer.from(content);
      changed.writeUInt8((changed.readUInt8(at) + 1) % 256, at);
      expect(() => vault.open(mark + changed.toString('base64url'), OWNER)).toThrow(VaultError);
    }
    for (const length of [0, 1, 12, 27, content.length - 1]) {
      expect(() => vault.open(mark + content.subarray(0, length).toString('base64url'), OWNER)).toThrow(VaultError);
    }
  });

  test.each(['', 'plain', 'v1', 'v1.', 'v2.00000000.AAAA', 'v1.00000000.AAAA'])('%p does not open', (sealed) => {
    expect(() => new Vault([NEW]).open(sealed, OWNER)).toThrow(VaultError);
  });

  test('with several keys the first seals and all open', () => {
    const sealedBefore = new Vault([OLD]).seal(SECRET, OWNER);
    const both = new Vault([NEW, OLD]);
    expect(both.open(sealedBefore, OWNER)).toBe(SECRET);
    const sealedAfter = both.seal(SECRET, OWNER);
    expect(new Vault([NEW]).open(sealedAfter, OWNER)).toBe(SECRET);
    expect(() => new Vault([OLD]).open(sealedAfter, OWNER)).toThrow(VaultError);
    expect(sealedAfter.startsWith(both.currentMark)).toBe(true);
    expect(sealedBefore.startsWith(both.currentMark)).toBe(false);
  });
});
