import { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';

/** A server that tests may create databases on, as `postgresql://user@host:port/any`; `npm run services` prints one. */
export const TEST_DATABASE_URL = process.env['TEST_DATABASE_URL'];

export interface TemporaryDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** An empty database of its own. */
export async function createTemporaryDatabase(server: string): Promise<TemporaryDatabase> {
  const name = `test_${crypto.randomUUID().replaceAll('-', '')}`;
  await onServer(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(server, `drop database if exists ${name} with (force)`) };
}

async function onServer(url: string, statement: string): Promise<void> {
  const orm = await MikroORM.init({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } });
  try {
    await sql.raw(statement).execute(orm.em.getDriver().getConnection().getClient<unknown>());
  } finally {
    await orm.close(true);
  }
}
