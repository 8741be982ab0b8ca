import { MikroORM, type SqlEntityManager } from '@mikro-orm/sqlite';
import { sql } from 'kysely';
import { CommitLine } from './commit-line.ts';
import { DeliveryStore } from './delivery-store.ts';
import { EventStore } from './event-store.ts';
import { explainFileError } from './file-error.ts';
import { type DatabaseOptions, ormOptions } from './orm.ts';
import { ThreadedConnection } from './sqlite/connection.ts';
import { becomeSoleOwner } from './sqlite/sole-owner.ts';

export type EntityManager = SqlEntityManager;

/** The database, opened, migrated, and owned by this process. */
export interface Storage {
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  /** A unit of work of its own: one for each request and for each command. */
  readonly fork: () => EntityManager;
  /** @throws when the database does not answer. */
  readonly ping: () => Promise<void>;
  close(): Promise<void>;
}

/** Sees every SQL statement; for tests that count them. */
export type StatementObserver = (statement: string) => void;

/** @throws DatabaseInUseError, DatabaseFileError */
export async function openStorage(config: DatabaseOptions, observe?: StatementObserver): Promise<Storage> {
  let giveUp: (() => void) | undefined;
  let orm: MikroORM | undefined;
  const close = async (): Promise<void> => {
    await orm?.close();
    giveUp?.();
  };
  try {
    giveUp = becomeSoleOwner(config.path);
    const connection = new ThreadedConnection(config.path);
    orm = await MikroORM.init({
      ...ormOptions(config, () => connection),
      ...(observe && { debug: ['query'], logger: observe, colors: false }),
    });
    await orm.migrator.up();
    return assemble(orm, connection, close);
  } catch (error) {
    await close();
    throw explainFileError(config.path, error);
  }
}

function assemble(orm: MikroORM, connection: ThreadedConnection, close: () => Promise<void>): Storage {
  const database = orm.em.getDriver().getConnection().getClient<unknown>();
  const line = new CommitLine((statements) =>
    // Kysely hands the connection out in turns; holding it, no transaction of MikroORM's can be open on it.
    database.connection().execute(() => connection.transact(statements.map((one) => one.compile(database)))),
  );
  return {
    events: new EventStore(line, database),
    deliveries: new DeliveryStore(line, database),
    fork: () => orm.em.fork(),
    ping: async () => void (await sql`select 1`.execute(database)),
    close,
  };
}
