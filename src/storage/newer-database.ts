/** A newer version of the program has migrated this database. The message is one line, for the operator. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError';

  constructor(unknownMigration: string) {
    super(
      `The database is newer than this version of Data Pusher, which does not know its migration "${unknownMigration}"; start a newer version.`,
    );
  }
}

interface Named {
  readonly name: string;
}

/** What both databases' migrators have in common. */
interface Migrator {
  getExecuted(): Promise<readonly Named[]>;
  up(): Promise<readonly Named[]>;
}

/**
 * @param known all migrations of this version
 * @returns the names of those that were applied, in their order.
 * @throws NewerDatabaseError before anything was changed
 */
export async function migrateUp(migrator: Migrator, known: readonly Named[]): Promise<readonly string[]> {
  const executed = await migrator.getExecuted();
  const unknown = executed.find(({ name }) => !known.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new NewerDatabaseError(unknown.name);
  }
  return (await migrator.up()).map(({ name }) => name);
}
