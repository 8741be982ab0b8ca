import { HttpError } from '../access/http-error.ts';
import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import type { EventStore, Route } from '../storage/event-store.ts';
import type { EarlierEvent } from '../storage/statements.ts';
import type { EventRouter } from './event-router.ts';

export interface Acceptance {
  readonly eventId: string;
  readonly deliveries: number;
  /** The event was already accepted under the same key. This repeats the first answer. */
  readonly duplicate?: true;
}

export interface IncomingEvent {
  readonly token: string;
  readonly payload: Buffer;
  /** The type that the sender named. */
  readonly type: string | null;
  readonly idempotencyKey: string | null;
  /** How many times the event was delivered before it arrived here. */
  readonly hops: number;
}

export type AcceptEvent = (incoming: IncomingEvent) => Promise<Acceptance | undefined>;

interface Dependencies {
  readonly events: EventStore;
  readonly router: Pick<EventRouter, 'route'>;
  readonly queue: DeliveryQueue;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly telemetry: Telemetry;
}

/**
 * Stores the event with its deliveries, then wakes the dispatchers. The answer waits for the commit and for nothing
 * else. The sweeper finds deliveries whose ticket is lost.
 *
 * @returns `undefined` when no account has the token.
 * @throws HttpError 409 when another event has the key
 */
export function createAcceptEvent({ events, router, queue, clock, newId, telemetry }: Dependencies): AcceptEvent {
  const route: Route = (routes, event) => router.route(routes, event);
  return async (incoming) => {
    const eventId = newId();
    const now = clock.now();
    const accepted = await events.accept({ id: eventId, ...incoming, receivedAt: now }, route);
    if (accepted === undefined) {
      return undefined;
    }
    if (accepted.earlier !== undefined) {
      return repeated(accepted.earlier);
    }
    const { tickets } = accepted;
    void queue.publish(tickets);
    telemetry.eventAccepted({ eventId, deliveries: tickets.length });
    return { eventId, deliveries: tickets.length };
  };
}

function repeated({ id, deliveries, hasSamePayload, hasSameType }: EarlierEvent): Acceptance {
  if (!hasSamePayload || !hasSameType) {
    throw HttpError.conflict(
      `Another event with this idempotency key was accepted before, and its ${hasSamePayload ? 'type' : 'body'} was different.`,
    );
  }
  return { eventId: id, deliveries, duplicate: true };
}
