import type { EntityManager } from '@mikro-orm/sql';
import { type Kysely, sql } from 'kysely';
import type { Notifier } from '../core/notifier.ts';
import type { Scope } from '../core/scope.ts';
import type { Vault } from '../core/vault.ts';
import { Cleaning, type CleaningStatements } from './cleaning.ts';
import { DeliveryStore } from './delivery-store.ts';
import { EventStore, eventWrites } from './event-store.ts';
import type { GroupCommit } from './group-commit.ts';
import { UNMETERED } from './read-models/reading.ts';
import { createReads } from './read-models/reads.ts';
import { withScope } from './scope.ts';
import type { Transact } from './typed-statement.ts';
import type { Statements } from './statements.ts';
import type { Storage } from './storage.ts';

/** The parts of a storage that depend on its database. */
export interface DatabaseParts<Procedure> {
  readonly em: EntityManager;
  /** For the reads of requests. */
  readonly readingEm: EntityManager;
  readonly vault: Vault;
  readonly statements: Statements<Procedure>;
  readonly cleaningStatements: CleaningStatements;
  readonly transact: Transact;
  /** The group commit for the next kinds of writes: a new one, or the same for all. */
  readonly groupCommit: () => GroupCommit<Procedure>;
  readonly notifier: Notifier | undefined;
  readonly isSoleOwner: boolean;
  readonly died: Promise<Error>;
  readonly migrated: readonly string[];
  readonly close: () => Promise<void>;
}

export function assembleStorage<Procedure>(parts: DatabaseParts<Procedure>): Storage {
  const { em, readingEm, vault, statements, cleaningStatements, transact, groupCommit } = parts;
  const { notifier, isSoleOwner, died, migrated, close } = parts;
  const database = kyselyOf(em);
  return {
    vault,
    events: new EventStore(eventWrites(groupCommit(), groupCommit(), statements), {
      database,
      reading: kyselyOf(readingEm),
      transact,
      statements,
    }),
    deliveries: new DeliveryStore(
      {
        claims: groupCommit(),
        laneClaims: groupCommit(),
        ratedClaims: groupCommit(),
        records: groupCommit(),
        releases: groupCommit(),
      },
      { database, vault, statements },
    ),
    cleaning: new Cleaning({ database, transact, statements: cleaningStatements }),
    fork: (scope: Scope) => withScope(em.fork(), scope),
    reads: (scope, meter = UNMETERED) => createReads(withScope(readingEm.fork(), scope), statements, scope, meter),
    isUp: () => isUp(database),
    notifier,
    isSoleOwner,
    died,
    migrated,
    close,
  };
}

/** For handwritten statements. They are not part of the entity manager's unit of work. */
export function kyselyOf(em: EntityManager): Kysely<unknown> {
  return em.getDriver().getConnection().getClient<unknown>();
}

async function isUp(database: Kysely<unknown>): Promise<boolean> {
  return sql`select 1`.execute(database).then(
    () => true,
    () => false,
  );
}
