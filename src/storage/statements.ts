import type { RawBuilder } from 'kysely';
import type { AttemptOutcome, DeliveryState, DeliveryStatus, Ticket, TicketLane } from '../core/delivery.ts';
import type { HttpMethod } from '../core/inputs.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Scope } from '../core/scope.ts';
import type { BatchKind, Statement } from './group-commit.ts';

export interface NewEvent {
  readonly id: string;
  readonly tokenHash: string;
  readonly payload: Buffer;
  /** The sender's own name for the event, if it has one. */
  readonly idempotencyKey: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  /** How often it has come through a server like this one already. */
  readonly hops: number;
}

/** The fan-out of a stored event: one ticket for each delivery. */
export interface StoredEvent {
  readonly tickets: readonly Ticket[];
}

/** Another event of the account has the key; nothing was stored. */
export const KEY_TAKEN = 'key taken';

export interface KeyLookup {
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
  /** Milliseconds from now. */
  readonly leaseMs: number;
  readonly blame: Blame;
}

/** Asks for the oldest due deliveries of one destination. */
export interface LaneClaimRequest {
  readonly destinationId: string;
  readonly limit: number;
  /** Where to begin: nothing that was due before is looked at. Milliseconds since the Unix epoch. */
  readonly from: number;
  /** Milliseconds from now. */
  readonly leaseMs: number;
  readonly blame: Blame;
}

interface ClaimedAttempt {
  readonly deliveryId: string;
  readonly accountId: string;
  readonly destinationId: string;
  readonly destinationVersion: number;
  readonly eventId: string;
  /** The attempt that this claim begins; counts from 1. */
  readonly attempt: number;
  /** The same, counted from the last manual retry: the place in the retry schedule. */
  readonly attemptInCycle: number;
  /** What attempts in a row count together whose worker has died. */
  readonly lostCount: number;
  /** When the delivery was due, in milliseconds since the Unix epoch. */
  readonly dueAt: number;
  /** In bytes. */
  readonly payloadLength: number;
}

/** What a claim answers. */
export interface ClaimedDelivery extends ClaimedAttempt, Omit<RequestSource, 'payload'> {
  /** `null` for a payload that is too large to be brought along with every claim. */
  readonly payload: Buffer | null;
  /** Why nothing can be sent; the outcome of the attempt. */
  readonly problem: 'SECRET_UNREADABLE' | 'WORKER_DIED' | null;
}

/** The same as the database has it: what is secret is sealed, and the account is its owner. */
export interface SealedDelivery extends ClaimedAttempt {
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly hops: number;
  readonly payload: Buffer | null;
  readonly sealedHeaders: string;
  readonly sealedSigningSecret: string;
  readonly sealedPreviousSecret: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly previousSecretUntil: number | null;
}

/** Larger payloads are read one by one, so that a batch of claims stays small in memory. */
export const INLINE_PAYLOAD_BYTES_MAX = 16 * 1024;
/**
 * What an attempt counts whose worker dies: 2 where the worker had little else under way, 1 where it may have been
 * any of many. Who kills a busy process a few times in a row must not make deliveries fail that had no part in it.
 */
export type Blame = 1 | 2;
/** A delivery is given up when its lost attempts in a row have counted so much: three alone, or six among others. */
export const LOST_COUNT_MAX = 6;

/** Asks for a delivery of one destination whose lease ran out: its worker has died. */
export interface LostClaimRequest {
  readonly destinationId: string;
  /** Deliveries whose lost attempts have counted more before are left alone. */
  readonly lostMost: number;
  /** Milliseconds from now. */
  readonly leaseMs: number;
  readonly blame: Blame;
}

/** Of a destination's due deliveries so many are looked at for leases that ran out; the leased ones are the oldest. */
export const LOST_AMONG_MAX = 64;

/** Names a claim. */
export interface Claim {
  readonly deliveryId: string;
  readonly attempt: number;
}

export interface AttemptRecord extends Claim {
  readonly destinationVersion: number;
  readonly outcome: AttemptOutcome;
  readonly state: DeliveryState;
}

/** A look at some destinations with pending deliveries, in the order of their ids. */
export interface LaneSearch {
  /** The id behind which the look begins; the empty text for the first. */
  readonly after: string;
  /** Destinations to look at. */
  readonly limit: number;
  /** Fresh deliveries that are due for a shorter time are left to their tickets. Milliseconds. */
  readonly graceMs: number;
}

export interface FoundLane {
  readonly destinationId: string;
  /** `null` for a destination that was deleted. */
  readonly accountId: string | null;
  /** What its oldest delivery is that can be claimed at this moment; `null` when there is none. */
  readonly due: 'fresh' | 'retries' | null;
  /** What the lost attempts of a delivery have counted before whose lease has run out, the least; `null` for none. */
  readonly lost: number | null;
}

export interface RetrySearch {
  /** Retries whose time had come by then are passed over. Milliseconds since the Unix epoch. */
  readonly after: number;
  readonly limit: number;
}

export interface FoundRetry extends TicketLane {
  /** Milliseconds since the Unix epoch. */
  readonly dueAt: number;
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
  /** What is outside of it has no children here, nor has what is deleted. */
  readonly scope: Scope;
}

/**
 * The statements that are beyond the mapper, because they do much at once, in the words of one database. One
 * that does not belong to a transaction of several must be atomic by itself. `Step` is what a transaction of the
 * database is made of.
 */
export interface Statements<Step = unknown> {
  /** Stores events with their fan-out. An account has each key once. */
  readonly events: BatchKind<NewEvent, StoredEvent | typeof KEY_TAKEN | undefined, Step>;
  /** Finds the events that have the keys, and takes the keys that have expired off theirs. */
  readonly keyLookups: BatchKind<KeyLookup, EarlierEvent | undefined, Step>;
  /**
   * Leases deliveries, begins their next attempt, and reads what its request is made of. The attempt number
   * guards the claim: of all who hold a ticket for the same attempt, one gets it. A destination that is
   * disabled gets nothing.
   */
  readonly claims: BatchKind<ClaimRequest, SealedDelivery | undefined>;
  /** The same for the oldest due deliveries of destinations. Rows that somebody else is taking are passed over. */
  readonly laneClaims: BatchKind<LaneClaimRequest, readonly SealedDelivery[]>;
  /**
   * Takes over a lease that ran out, which counts as a lost attempt. The attempt after which the delivery is given
   * up is handed out again, to be recorded.
   */
  readonly lostClaims: BatchKind<LostClaimRequest, SealedDelivery | undefined>;
  /**
   * Writes attempts and the new states of their deliveries, guarded by the attempt number and the lease, so that
   * a worker that comes late cannot overwrite a newer attempt. An attempt that is recorded already stays as it is,
   * and counts as recorded. A destination that has said that it is gone is disabled with it, if it still is what
   * was asked.
   */
  readonly records: BatchKind<AttemptRecord, boolean>;
  /** Gives claims back whose request was never sent: they can be claimed at once, and the attempt does not count. */
  readonly releases: BatchKind<Claim, boolean>;
  /** Ends all leases; only for the sole owner of a database. */
  readonly recoverLeases: () => Statement;
  readonly findLanes: (search: LaneSearch) => RawBuilder<FoundLane>;
  /** In the order of their due times. */
  readonly findRetries: (search: RetrySearch) => RawBuilder<FoundRetry>;
  /** The bytes of a payload from this offset on, as many as the database can send at once without much memory. */
  readonly payloadPart: (eventId: string, offset: number) => RawBuilder<{ bytes: Buffer }>;
  readonly eventIdsOf: (page: NestedPage) => RawBuilder<KeyedId>;
  readonly deliveryIdsOf: (page: NestedPage, status: DeliveryStatus | undefined) => RawBuilder<KeyedId>;
}
