import { type Kysely, sql } from 'kysely';
import { Vault, VaultError } from '../core/vault.ts';

/** Facts about the database: a text that its key has sealed, and that plain texts must still be erased from its files. */
export type SettingName = 'key-check' | 'erase-due';

export async function readSetting(database: Kysely<unknown>, name: SettingName): Promise<string | undefined> {
  const { rows } = await sql<{ value: string }>`select value from setting where name = ${name}`.execute(database);
  return rows[0]?.value;
}

export async function writeSetting(database: Kysely<unknown>, name: SettingName, value: string): Promise<void> {
  await sql`insert into setting (name, value) values (${name}, ${value})
    on conflict (name) do update set value = excluded.value`.execute(database);
}

export async function removeSetting(database: Kysely<unknown>, name: SettingName): Promise<void> {
  await sql`delete from setting where name = ${name}`.execute(database);
}

/** The owner of the check value. No account has such an id. */
const OWNER = 'the database';
const TEXT = 'This opens with a key of the database.';

/**
 * The first start seals a check value, before the database has any secret. Of two processes with different keys, one is
 * refused then; otherwise neither could open the other's secrets. The keys of all later secrets are required too.
 *
 * @throws VaultError when a key is missing.
 */
export async function requireKeys(database: Kysely<unknown>, vault: Vault): Promise<void> {
  const check = await readSetting(database, 'key-check');
  const { rows } = await sql<{ sealed: string }>`
    select substr(sealed, 1, 12) as sealed from (
      select sealed_token as sealed from account
      union all select sealed_headers from destination
      union all select sealed_signing_secret from destination
      union all select sealed_previous_secret from destination
    ) secret where sealed like ${`${Vault.mark}%`} group by 1`.execute(database);
  for (const sealed of [...(check === undefined ? [] : [check]), ...rows.map((row) => row.sealed)]) {
    requireKeyOf(sealed, vault);
  }
  if (check === undefined) {
    await sealCheck(database, vault);
  } else {
    vault.open(check, OWNER);
  }
}

/** Seals the check value with the current key. */
export async function sealCheck(database: Kysely<unknown>, vault: Vault): Promise<void> {
  await writeSetting(database, 'key-check', vault.seal(TEXT, OWNER));
}

function requireKeyOf(sealed: string, vault: Vault): void {
  const keyId = sealed.slice(Vault.mark.length).split('.', 1).join();
  if (!vault.keyIds.includes(keyId)) {
    throw new VaultError(
      `The database is encrypted with the key ${keyId}, which is not at hand: add it to ENCRYPTION_KEY, or put the key file back that was kept beside the database.`,
    );
  }
}
