import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { Ticket } from '../core/delivery.ts';
import type { IdSource } from '../core/ids.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { type EventStore, type RouteAll, ticketsOf } from '../storage/event-store.ts';
import type { NewEvent } from '../storage/statements.ts';
import { type Acceptance, requireSame } from './accept-event.ts';
import type { EventRouter } from './event-router.ts';
import type { EventHead } from './request.ts';

interface BatchAcceptance {
  /** In the order of the batch. */
  readonly events: readonly Omit<Acceptance, 'duplicate'>[];
  /** The batch was already accepted under the same key. This repeats the first answer. */
  readonly duplicate?: true;
}

interface IncomingBatch extends EventHead {
  readonly token: string;
  readonly body: Buffer;
  /** The events of the body, at least one. */
  readonly payloads: readonly Buffer[];
}

export type AcceptBatch = (incoming: IncomingBatch) => Promise<BatchAcceptance | undefined>;

interface Dependencies {
  readonly events: EventStore;
  readonly router: Pick<EventRouter, 'routeAll'>;
  readonly queue: DeliveryQueue;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly telemetry: Telemetry;
}

/**
 * Stores the events of a batch in one commit, or none of them. Otherwise it is like `createAcceptEvent`.
 *
 * @returns `undefined` when no account has the token.
 * @throws HttpError 413 when routing takes too long; 409 when another event or batch has the key
 */
export function createAcceptBatch({ events, router, queue, clock, newId, telemetry }: Dependencies): AcceptBatch {
  const route: RouteAll = (routes, all) => router.routeAll(routes, all);
  return async ({ token, body, payloads, ...head }) => {
    const contents = payloads.map((payload) => ({ id: newId(), payload }));
    const hash = head.idempotencyKey === null ? null : await hashOf(body);
    const accepted = await events.acceptBatch(token, { contents, hash, receivedAt: clock.now(), ...head }, route);
    if (accepted === undefined) {
      return undefined;
    }
    if ('earlier' in accepted) {
      requireSame(accepted.earlier);
      return {
        events: accepted.earlier.events.map(({ id, deliveries }) => ({ eventId: id, deliveries })),
        duplicate: true,
      };
    }
    void publish(queue, accepted.events);
    const answers = accepted.events.map(({ id, fanOut }) => ({
      eventId: id,
      deliveries: fanOut.destinationIds.length,
    }));
    telemetry.batchAccepted({
      eventId: answers[0]?.eventId,
      events: answers.length,
      deliveries: answers.reduce((sum, { deliveries }) => sum + deliveries, 0),
    });
    return { events: answers };
  };
}

/** Hashing this many bytes takes a few milliseconds. */
const HASHED_BYTES = 1_048_576;

async function hashOf(body: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < body.length; at += HASHED_BYTES) {
    if (at > 0) {
      await nextTurn();
    }
    hash.update(body.subarray(at, at + HASHED_BYTES));
  }
  return hash.digest('base64url');
}

/** The tickets of one turn of the event loop. */
const TICKETS_MAX = 1_000;

async function publish(queue: DeliveryQueue, events: readonly NewEvent[]): Promise<void> {
  let tickets: Ticket[] = [];
  for (const event of events) {
    tickets.push(...ticketsOf(event));
    if (tickets.length >= TICKETS_MAX) {
      void queue.publish(tickets);
      tickets = [];
      await nextTurn();
    }
  }
  void queue.publish(tickets);
}
