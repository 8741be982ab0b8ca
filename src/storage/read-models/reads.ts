import type { Scope } from '../../core/scope.ts';
import type { Statements } from '../statements.ts';
import type { EntityManager } from '@mikro-orm/sql';
import { AccountReads } from './accounts.ts';
import { DeliveryReads } from './deliveries.ts';
import { EventReads } from './events.ts';
import type { Meter } from './reading.ts';
import { RouteReads } from './routes.ts';

/** The reads of one request, within its scope. Results are kept for its duration, and look-ups of one turn share a statement. */
export interface Reads {
  readonly accounts: AccountReads;
  readonly events: EventReads;
  readonly deliveries: DeliveryReads;
  readonly routes: RouteReads;
}

export function createReads(em: EntityManager, statements: Statements, scope: Scope, meter: Meter): Reads {
  const deliveries = new DeliveryReads(em, statements, scope, meter);
  return {
    accounts: new AccountReads(em, scope, meter),
    events: new EventReads(em, statements, scope, meter),
    deliveries,
    routes: new RouteReads(em, scope, meter, deliveries),
  };
}
