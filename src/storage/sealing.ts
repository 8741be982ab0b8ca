import { type Kysely, type RawBuilder, sql } from 'kysely';
import { generateSigningSecret } from '../core/secrets.ts';
import { Vault } from '../core/vault.ts';
import { readSetting, removeSetting, requireKeys, sealCheck, writeSetting } from './settings.ts';

/** Keeps the locks of a transaction short. */
const ROWS_PER_TRANSACTION = 200;

interface AccountRow {
  readonly id: string;
  readonly token: string;
}

interface DestinationRow {
  readonly id: string;
  readonly accountId: string;
  readonly headers: string;
  readonly secret: string;
  readonly previous: string | null;
}

/**
 * Seals the texts that do not begin with the mark: with `Vault.mark` only plain texts, with `vault.currentMark` also
 * those that an older key has sealed. A row is changed only if it is still as it was read. So this may run beside
 * serving processes, and an interrupted run can be repeated.
 *
 * @returns the number of sealed rows.
 */
async function sealAll(database: Kysely<unknown>, vault: Vault, mark: string): Promise<number> {
  return (await sealAccounts(database, vault, `${mark}%`)) + (await sealDestinations(database, vault, `${mark}%`));
}

/** Seals everything with the current key. The check value comes last: it shows whether a rotation was completed. */
export async function sealAnew(database: Kysely<unknown>, vault: Vault): Promise<number> {
  const sealed = await sealAll(database, vault, vault.currentMark);
  await sealCheck(database, vault);
  return sealed;
}

/**
 * The last part of opening a database: checks that its keys are available, and seals and erases the secrets that an
 * earlier version left readable. The database remembers that erasing is due until it has been completed.
 *
 * @param erase removes plain texts from the free space of the database. Returns false if that must be repeated.
 * @throws VaultError when a key is missing; nothing was sealed then.
 */
export async function sealWhatIsPlain(
  database: Kysely<unknown>,
  vault: Vault,
  erase: (database: Kysely<unknown>) => Promise<boolean>,
): Promise<void> {
  await requireKeys(database, vault);
  if (await hasPlain(database)) {
    await writeSetting(database, 'erase-due', 'yes');
    await sealAll(database, vault, Vault.mark);
  }
  if ((await readSetting(database, 'erase-due')) !== undefined && (await erase(database))) {
    await removeSetting(database, 'erase-due');
  }
}

async function hasPlain(database: Kysely<unknown>): Promise<boolean> {
  const sealed = `${Vault.mark}%`;
  const { rows } = await sql`
    select 1 from account where sealed_token not like ${sealed}
    union all select 1 from destination where ${isPlain(sealed)} limit 1`.execute(database);
  return rows.length > 0;
}

function isPlain(pattern: string): RawBuilder<unknown> {
  return sql`(sealed_headers not like ${pattern} or sealed_signing_secret not like ${pattern}
    or sealed_previous_secret not like ${pattern})`;
}

async function sealAccounts(database: Kysely<unknown>, vault: Vault, pattern: string): Promise<number> {
  return inBatches(database, async (transaction) => {
    const { rows } = await sql<AccountRow>`
      select id, sealed_token as token from account where sealed_token not like ${pattern}
      limit ${ROWS_PER_TRANSACTION}`.execute(transaction);
    for (const { id, token } of rows) {
      await sql`update account set sealed_token = ${reseal(vault, token, id)}
        where id = ${id} and sealed_token = ${token}`.execute(transaction);
    }
    return rows.length;
  });
}

async function sealDestinations(database: Kysely<unknown>, vault: Vault, pattern: string): Promise<number> {
  return inBatches(database, async (transaction) => {
    const { rows } = await sql<DestinationRow>`
      select id, account_id as "accountId", sealed_headers as headers, sealed_signing_secret as secret,
        sealed_previous_secret as previous
      from destination
      where ${isPlain(pattern)}
      limit ${ROWS_PER_TRANSACTION}`.execute(transaction);
    for (const { id, accountId, headers, secret, previous } of rows) {
      // Destinations from before there were signing secrets have none.
      const signingSecret =
        secret === '' ? vault.seal(generateSigningSecret(), accountId) : reseal(vault, secret, accountId);
      await sql`update destination set
          sealed_headers = ${reseal(vault, headers, accountId)}, sealed_signing_secret = ${signingSecret},
          sealed_previous_secret = ${previous === null ? null : reseal(vault, previous, accountId)}
        where id = ${id} and sealed_headers = ${headers} and sealed_signing_secret = ${secret}`.execute(transaction);
    }
    return rows.length;
  });
}

function reseal(vault: Vault, text: string, ownerId: string): string {
  return vault.seal(text.startsWith(Vault.mark) ? vault.open(text, ownerId) : text, ownerId);
}

async function inBatches(
  database: Kysely<unknown>,
  sealSome: (transaction: Kysely<unknown>) => Promise<number>,
): Promise<number> {
  for (let sealed = 0; ; ) {
    const some = await database.transaction().execute(sealSome);
    sealed += some;
    if (some < ROWS_PER_TRANSACTION) {
      return sealed;
    }
  }
}
