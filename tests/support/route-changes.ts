import { type Kysely, type RawBuilder, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Storage } from '../../src/storage/storage.ts';

/** What a change sets. JSON is given as text, as the database keeps it. */
interface RouteChange {
  readonly accountId: string;
  readonly destinationId?: string;
  readonly filter?: string | null;
  readonly eventTypes?: string | null;
  readonly isEnabled?: boolean;
  readonly eventTypePath?: string | null;
}

/** Changes where events go, as commands do: it locks the account's row first, and counts the change. */
export async function changeRoutes({ fork, isSoleOwner }: Storage, change: RouteChange): Promise<void> {
  const { accountId, destinationId, filter, eventTypes, isEnabled, eventTypePath } = change;
  const database: Kysely<unknown> = fork(EVERYTHING).getKysely();
  const now = isSoleOwner ? sql`1767225600000` : sql`now()`;
  const columns: RawBuilder<unknown>[] = [
    ...(filter === undefined ? [] : [sql`filter = ${filter}`]),
    ...(eventTypes === undefined ? [] : [sql`event_types = ${eventTypes}`]),
    ...(isEnabled === undefined ? [] : [sql`disabled_at = ${isEnabled ? sql`null` : now}`]),
  ];
  await database.transaction().execute(async (transaction) => {
    await sql`update account set routing_version = routing_version + 1 where id = ${accountId}`.execute(transaction);
    if (eventTypePath !== undefined) {
      await sql`update account set event_type_path = ${eventTypePath} where id = ${accountId}`.execute(transaction);
    }
    if (destinationId !== undefined) {
      await sql`update destination set ${sql.join(columns)} where id = ${destinationId}`.execute(transaction);
    }
  });
}

export interface StoredRouting {
  readonly type: string | null;
  /** The destinations that it was not sent to, with the reason. */
  readonly skipped: readonly (readonly string[])[] | null;
  readonly destinationIds: readonly string[];
}

/** Where a stored event went, as the tables have it. */
export async function storedRouting({ fork }: Storage, eventId: string): Promise<StoredRouting> {
  const database: Kysely<unknown> = fork(EVERYTHING).getKysely();
  const events = await sql<{ type: string | null; skipped: string | null }>`
    select type, skipped from event where id = ${eventId}`.execute(database);
  const deliveries = await sql<{ destinationId: string }>`
    select destination_id as "destinationId" from delivery where event_id = ${eventId} order by id`.execute(database);
  const [event] = events.rows;
  if (event === undefined) {
    throw new Error('There is no such event.');
  }
  const { type, skipped } = event;
  return {
    type,
    skipped: skipped === null ? null : (JSON.parse(skipped) as string[][]),
    destinationIds: deliveries.rows.map(({ destinationId }) => destinationId),
  };
}
