import { sql } from 'kysely';
import type { EntityManager } from '@mikro-orm/sql';
import type { RouteOutcome } from '../../core/routing.ts';
import type { Scope } from '../../core/scope.ts';
import { isVisibleAccount } from '../scope.ts';
import type { DeliveryReads, DeliveryRow } from './deliveries.ts';
import { type Meter, oneByKey, select } from './reading.ts';

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

type Skipped = readonly (readonly [destinationId: string, outcome: RouteOutcome, path?: string])[];

/** Up to 24 KiB each: 100 destinations with an id, an outcome and a path of 200 characters. */
const EVENTS_PER_STATEMENT = 50;

/** Reads of how events were routed, for one request. */
export class RouteReads {
  readonly #deliveries: DeliveryReads;
  readonly #skipped;

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
  }

  /** In the order of the destinations' creation. Routes with a delivery are those of destinations that still exist. */
  async routesOf(eventId: string): Promise<RouteRow[]> {
    const [deliveries, event] = await Promise.all([
      this.#deliveries.deliveriesOfEvent(eventId),
      this.#skipped.load(eventId),
    ]);
    const routed = deliveries.map(
      (delivery): RouteRow => ({ destinationId: delivery.destination.id, outcome: 'ROUTED', path: null, delivery }),
    );
    const skipped = skippedOf(event).map(
      ([destinationId, outcome, path = null]): RouteRow => ({ destinationId, outcome, path, delivery: null }),
    );
    return [...routed, ...skipped].toSorted((one, other) => (one.destinationId < other.destinationId ? -1 : 1));
  }
}

function skippedOf(event: SkippedRow | undefined): Skipped {
  return event === undefined || event.skipped === null ? [] : (JSON.parse(event.skipped) as Skipped);
}
