import type { Clock } from '../core/clock.ts';
import type { IdSource } from '../core/ids.ts';
import type { Ticket } from '../core/ticket.ts';
import type { Facts } from '../observe/facts.ts';
import type { EventStore } from '../storage/event-store.ts';

export interface Acceptance {
  readonly eventId: string;
  readonly deliveries: number;
}

export type AcceptEvent = (token: string, payload: Buffer) => Promise<Acceptance | undefined>;

interface Dependencies {
  readonly events: EventStore;
  readonly publish: (tickets: readonly Ticket[]) => Promise<void>;
  /** How long the tickets may be on their way before the sweeper looks for the deliveries, in milliseconds. */
  readonly visibilityMs: number;
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
export function createAcceptEvent({ events, publish, visibilityMs, clock, newId, facts }: Dependencies): AcceptEvent {
  return async (token, payload) => {
    const eventId = newId();
    const now = clock.now();
    const accepted = await events.accept({ id: eventId, token, payload, receivedAt: now, dueAt: now + visibilityMs });
    if (accepted === undefined) {
      return undefined;
    }
    const { tickets } = accepted;
    void publish(tickets);
    facts.eventAccepted({ eventId, deliveries: tickets.length });
    return { eventId, deliveries: tickets.length };
  };
}
