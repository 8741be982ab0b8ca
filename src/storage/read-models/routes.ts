import { type RawBuilder, sql } from 'kysely';
import type { EntityManager } from '@mikro-orm/sql';
import { DESTINATIONS_PER_ACCOUNT_MAX } from '../../core/inputs.ts';
import type { RouteOutcome } from '../../core/routing.ts';
import type { Scope } from '../../core/scope.ts';
import { isVisibleAccount } from '../scope.ts';
import { type DeliveryReads, type DeliveryRow, ofEvent } from './deliveries.ts';
import { manyByKey, type Meter, oneByKey, select } from './reading.ts';

/** How an event was routed to a destination. */
export interface RouteRow {
  readonly destinationId: string;
  readonly outcome: RouteOutcome;
  /** The condition that failed, if it was filtered. */
  readonly path: string | null;
  readonly delivery: DeliveryRow | null;
}

interface SkippedRow {
  readonly id: string;
  /** The column of the event. */
  readonly skipped: string | null;
}

/** A delivery's destination that was deleted. */
interface RemovedRow {
  readonly eventId: string;
  readonly destinationId: string;
}

type Skipped = readonly (readonly [destinationId: string, outcome: RouteOutcome, path?: string])[];

/** Up to 24 KiB each: 100 destinations with an id, an outcome and a path of 200 characters. */
const EVENTS_PER_STATEMENT = 50;

/** Reads of how events were routed, for one request. */
export class RouteReads {
  readonly #deliveries: DeliveryReads;
  readonly #skipped;
  readonly #removed;

  constructor(em: EntityManager, scope: Scope, meter: Meter, deliveries: DeliveryReads) {
    this.#deliveries = deliveries;
    this.#skipped = oneByKey(
      meter,
      (ids) =>
        select(
          em,
          sql<SkippedRow>`
          select id, skipped from event
          where id in (${sql.join(ids)}) and ${isVisibleAccount(sql`event.account_id`, scope)}`,
        ),
      ({ id }: SkippedRow) => id,
      EVENTS_PER_STATEMENT,
    );
    this.#removed = manyByKey(
      meter,
      (ids) => findRemoved(em, scope, ids),
      ({ eventId }: RemovedRow) => eventId,
      DESTINATIONS_PER_ACCOUNT_MAX,
    );
  }

  /** In the order of the destinations' creation. A deleted destination has no delivery any more. */
  async routesOf(eventId: string): Promise<RouteRow[]> {
    const [deliveries, event, removed] = await Promise.all([
      this.#deliveries.deliveriesOfEvent(eventId),
      this.#skipped.load(eventId),
      this.#removed.load(eventId),
    ]);
    const routed = deliveries.map(
      (delivery): RouteRow => ({ destinationId: delivery.destination.id, outcome: 'ROUTED', path: null, delivery }),
    );
    const skipped = skippedOf(event).map(
      ([destinationId, outcome, path = null]): RouteRow => ({ destinationId, outcome, path, delivery: null }),
    );
    const gone = removed.map(
      ({ destinationId }): RouteRow => ({ destinationId, outcome: 'ROUTED', path: null, delivery: null }),
    );
    return [...routed, ...skipped, ...gone].toSorted((one, other) =>
      one.destinationId < other.destinationId ? -1 : 1,
    );
  }
}

/** Rows of a deleted destination stay in `delivery` until the cleaner has removed them. */
function findRemoved(em: EntityManager, scope: Scope, eventIds: readonly string[]): Promise<RemovedRow[]> {
  return select(
    em,
    sql<RemovedRow>`
    select r.event_id as "eventId", r.destination_id as "destinationId" from removed_route r
    where r.event_id in (${sql.join(eventIds)}) and ${isVisibleEvent(sql`r.event_id`, scope)}
    union
    select d.event_id, d.destination_id from delivery d
    where (${sql.join(
      eventIds.map((id) => ofEvent(id)),
      sql` or `,
    )})
      and (select x.deleted_at is not null from destination x where x.id = d.destination_id)
      and ${isVisibleEvent(sql`d.event_id`, scope)}`,
  );
}

function isVisibleEvent(eventId: RawBuilder<unknown>, scope: Scope) {
  return sql`(select ${isVisibleAccount(sql`e.account_id`, scope)} from event e where e.id = ${eventId})`;
}

function skippedOf(event: SkippedRow | undefined): Skipped {
  return event === undefined || event.skipped === null ? [] : (JSON.parse(event.skipped) as Skipped);
}
