import { type Kysely, sql } from 'kysely';

/**
 * What the database keeps about itself: a text that its key has sealed, and that something readable has still to be
 * erased from its files.
 */
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
