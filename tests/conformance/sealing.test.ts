import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import { Vault, VaultError } from '../../src/core/vault.ts';
import { sealAnew } from '../../src/storage/sealing.ts';
import { TEST_KEY, TEST_VAULT } from '../support/vault.ts';
import { storeForEachTest, STORES } from './backends.ts';
import { firstClaimed } from '../support/store-fixture.ts';

const NEW_KEY = randomBytes(32);
/** More than one transaction of them. */
const ACCOUNTS = 210;

describe.each(STORES)('secrets on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  const database = (): Kysely<unknown> => store.storage.fork(EVERYTHING).getKysely();

  async function columns(): Promise<{ sealed: string[]; whole: string }> {
    const { rows: accounts } = await sql<Record<string, string>>`select * from account`.execute(database());
    const { rows: destinations } = await sql<Record<string, string>>`select * from destination`.execute(database());
    const sealed = [...accounts, ...destinations].flatMap((row) =>
      ['sealed_token', 'sealed_headers', 'sealed_signing_secret'].flatMap((name) => row[name] ?? []),
    );
    return { sealed, whole: JSON.stringify([accounts, destinations]) };
  }

  test('no token and no header value stands readable in a row', async () => {
    const { id, token } = await fixture.account(0);
    await fixture.destination(id, 'http://127.0.0.1/', { 'X-Key': 'a header value' });
    const { sealed, whole } = await columns();
    expect(sealed).toHaveLength(3);
    expect(sealed.every((text) => text.startsWith(Vault.mark))).toBe(true);
    expect(whole).not.toContain(token);
    expect(whole).not.toContain('a header value');
  });

  test('what an earlier version has left readable is sealed when the store is opened, and reads as before', async () => {
    const { id, token } = await fixture.account(0);
    const destinationId = await fixture.destination(id, 'http://127.0.0.1/', { 'X-Key': 'a header value' });
    await sql`update account set sealed_token = ${token}`.execute(database());
    await sql`update destination set sealed_headers = ${'[["X-Key","a header value"]]'}, sealed_signing_secret = ''`.execute(
      database(),
    );
    await store.reopen();
    const { sealed, whole } = await columns();
    expect(sealed.every((text) => text.startsWith(TEST_VAULT.currentMark))).toBe(true);
    expect(whole).not.toContain(token);
    expect(whole).not.toContain('a header value');
    const [ticket] = await fixture.event(token);
    const claimed =
      ticket && (await firstClaimed(store.storage.deliveries.claim({ ticket, leaseMs: 60_000, blame: 1 })));
    expect(claimed).toMatchObject({ destinationId, headers: [['X-Key', 'a header value']] });
  });

  test('the first start makes its key that of the database: with another one the next is refused, before there is any secret', async () => {
    const refusal = await store.reopen(new Vault([NEW_KEY])).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(VaultError);
    expect((refusal as Error).message).toMatch(/^The database is encrypted with the key [^\n]*$/u);
    await store.reopen(new Vault([NEW_KEY, TEST_KEY]));
  });

  test('with the wrong key nothing is sealed of what an earlier version has left readable', async () => {
    const { token } = await fixture.account(0);
    await sql`update account set sealed_token = ${token}`.execute(database());
    await expect(store.reopen(new Vault([NEW_KEY]))).rejects.toThrow(VaultError);
    await store.reopen();
    const { sealed } = await columns();
    expect(sealed.every((text) => text.startsWith(TEST_VAULT.currentMark))).toBe(true);
  });

  test('all of them can be brought to a new key, and need the old one no more', async () => {
    const accounts = await Promise.all(Array.from({ length: ACCOUNTS }, () => fixture.account(1)));
    const vault = new Vault([NEW_KEY, TEST_KEY]);
    expect(await sealAnew(database(), vault)).toBe(2 * ACCOUNTS);
    expect(await sealAnew(database(), vault)).toBe(0);
    const alone = new Vault([NEW_KEY]);
    const { rows } = await sql<{ id: string; sealed: string }>`
      select id, sealed_token as sealed from account`.execute(database());
    const tokens = new Map(accounts.map(({ id, token }) => [id, token]));
    expect(rows.every(({ id, sealed }) => alone.open(sealed, id) === tokens.get(id))).toBe(true);
    await expect(store.reopen()).rejects.toThrow(VaultError);
    await store.reopen(alone);
  });

  test('a rotation without a secret in the database changes its key too', async () => {
    await sealAnew(database(), new Vault([NEW_KEY, TEST_KEY]));
    await expect(store.reopen()).rejects.toThrow(VaultError);
    await store.reopen(new Vault([NEW_KEY]));
  });
});
