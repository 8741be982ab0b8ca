import type { RawBuilder } from 'kysely';
import type { AttemptOutcome, DeliveryState, DeliveryStatus } from '../core/delivery.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Scope } from '../core/scope.ts';
import type { Ticket } from '../core/ticket.ts';
import type { BatchKind } from './batch.ts';
import type { Statement } from './commit-line.ts';

export interface NewEvent {
  readonly id: string;
  readonly tokenHash: string;
  readonly payload: Buffer;
  /** The sender's own name for the event, if it has one. */
  readonly idempotencyKey: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  /** When the sweeper may look for the deliveries, in milliseconds since the Unix epoch. */
  readonly dueAt: number;
}

/** The fan-out of a stored event: one ticket for each delivery. */
export interface StoredEvent {
  readonly tickets: readonly Ticket[];
}

/** Another event of the account has the key; nothing was stored. */
export const KEY_TAKEN = 'key taken';

export interface KeyQuestion {
  readonly tokenHash: string;
  readonly idempotencyKey: string;
  /** Of the event that has come now. */
  readonly payload: Buffer;
  /** Events that were received until then have lost their keys, in milliseconds since the Unix epoch. */
  readonly expiredAt: number;
}

/** The event that has the key. */
export interface EarlierEvent {
  readonly id: string;
  readonly deliveries: number;
  readonly hasSamePayload: boolean;
}

export interface ClaimRequest {
  readonly ticket: Ticket;
  /** Milliseconds since the Unix epoch. */
  readonly leasedUntil: number;
}

export interface ClaimedDelivery extends RequestSource, ClaimedAttempt {}

/** The same as the database has it: what is secret is sealed, and the account is its owner. */
export interface SealedDelivery extends Omit<RequestSource, 'headers' | 'signingSecrets'>, ClaimedAttempt {
  readonly accountId: string;
  readonly sealedHeaders: string;
  readonly sealedSigningSecret: string;
  readonly sealedPreviousSecret: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly previousSecretUntil: number | null;
}

interface ClaimedAttempt {
  readonly destinationId: string;
  readonly eventId: string;
  /** The attempt that this claim begins; counts from 1. */
  readonly attempt: number;
  /** The same, counted from the last manual retry: the place in the retry schedule. */
  readonly attemptInRound: number;
  /** Milliseconds since the Unix epoch; after that the delivery is due again. */
  readonly leasedUntil: number;
}

export interface DueRequest {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly limitPerDestination: number;
  /** How long the tickets are good, in milliseconds; 0 where this process is the only one to ask. */
  readonly visibilityMs: number;
  /** Destinations to pass over. */
  readonly except: readonly string[];
}

export interface AttemptRecord {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  readonly state: DeliveryState;
}

export interface KeyedId {
  /** The parent's id. */
  readonly key: string;
  readonly id: string;
}

/** A list of children that is read newest first, for several parents at once. */
export interface NestedPage {
  readonly parentIds: readonly string[];
  /** Children with lower ids than this. */
  readonly before: string;
  /** Of each parent. */
  readonly limit: number;
}

/**
 * The statements that are beyond the mapper, because they do much at once, in the words of one database. One
 * that does not belong to a transaction of several must be atomic by itself.
 */
export interface Statements {
  /** Stores events with their fan-out. An account has each key once. */
  readonly events: BatchKind<NewEvent, StoredEvent | typeof KEY_TAKEN | undefined>;
  /** Finds the events that have the keys, and takes the keys that have expired off theirs. */
  readonly keyHolders: BatchKind<KeyQuestion, EarlierEvent | undefined>;
  /**
   * Leases deliveries, begins their next attempt, and reads what its request is made of. The attempt number
   * guards the claim: of all who hold a ticket for the same attempt, one gets it. A destination that is
   * disabled gets nothing.
   */
  readonly claims: BatchKind<ClaimRequest, SealedDelivery | undefined>;
  /**
   * Writes attempts and the new states of their deliveries, both guarded by the attempt number, so that a
   * worker that comes late, after its lease ran out, cannot overwrite a newer attempt. A destination that has
   * said that it is gone is disabled with it.
   */
  readonly records: BatchKind<AttemptRecord, boolean>;
  readonly release: (claims: readonly ClaimedDelivery[], now: number) => Statement;
  readonly recoverLeases: (now: number) => Statement;
  readonly returnTickets: (tickets: readonly Ticket[], now: number) => Statement;
  readonly takeDue: (request: DueRequest) => RawBuilder<Ticket>;
  readonly takeDueOf: (destinationId: string, request: DueRequest) => RawBuilder<Ticket>;
  readonly eventIdsOf: (page: NestedPage) => RawBuilder<KeyedId>;
  readonly deliveryIdsOf: (
    page: NestedPage & { scope: Scope },
    status: DeliveryStatus | undefined,
  ) => RawBuilder<KeyedId>;
}
