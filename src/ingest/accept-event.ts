import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import type { Facts } from '../observe/facts.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import type { EventStore } from '../storage/event-store.ts';

export interface Acceptance {
  readonly eventId: string;
  readonly deliveries: number;
}

export type AcceptEvent = (token: string, payload: Buffer) => Promise<Acceptance | undefined>;

interface Dependencies {
  readonly events: EventStore;
  readonly queue: DeliveryQueue;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly facts: Facts;
}

/**
 * The use case behind the ingest route: store the event with its fan-out, then wake the dispatchers. The
 * answer waits for the commit and for nothing else; a ticket that is lost is one for the sweeper.
 *
 * @returns `undefined` when no account has the token.
 */
export function createAcceptEvent({ events, queue, clock, newId, facts }: Dependencies): AcceptEvent {
  return async (token, payload) => {
    const eventId = newId();
    const now = clock.now();
    const dueAt = now + queue.visibilityMs;
    const accepted = await events.accept({ id: eventId, token, payload, receivedAt: now, dueAt });
    if (accepted === undefined) {
      return undefined;
    }
    const { tickets } = accepted;
    void queue.publish(tickets);
    facts.eventAccepted({ eventId, deliveries: tickets.length });
    return { eventId, deliveries: tickets.length };
  };
}
