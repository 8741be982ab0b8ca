import { HttpError } from '../access/http-error.ts';
import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import type { EventStore, Route } from '../storage/event-store.ts';
import type { EarlierEvent } from '../storage/statements.ts';
import type { EventRouter } from './event-router.ts';
import type { EventHead } from './request.ts';

export interface Acceptance {
  readonly eventId: string;
  readonly deliveries: number;
  /** The event was already accepted under the same key. This repeats the first answer. */
  readonly duplicate?: true;
}

interface IncomingEvent extends EventHead {
  readonly token: string;
  readonly payload: Buffer;
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

function repeated({ id, deliveries, ...earlier }: EarlierEvent): Acceptance {
  requireSame(earlier);
  return { eventId: id, deliveries, duplicate: true };
}

/** @throws HttpError 409 when the key was used for something else */
export function requireSame({
  hasSamePayload,
  hasSameType,
}: Pick<EarlierEvent, 'hasSamePayload' | 'hasSameType'>): void {
  if (!hasSamePayload || !hasSameType) {
    throw HttpError.conflict(
      `This idempotency key was used before, and the ${hasSamePayload ? 'type' : 'body'} was different.`,
    );
  }
}
