import type { RawBuilder } from 'kysely';
import type { AttemptOutcome, DeliveryState, DeliveryStatus, Ticket } from '../core/delivery.ts';
import type { FanOut, StoredRoutes } from '../core/account-routes.ts';
import type { HttpMethod } from '../core/inputs.ts';
import type { RequestSource } from '../core/outgoing-request.ts';
import type { Scope } from '../core/scope.ts';
import type { DeliveryPlace, NextDelivery, PassedOver } from './delivery-order.ts';
import type { ClaimedPolicy } from './policy-columns.ts';
import type { FoundLane, FoundRetry, LaneSearch, RetrySearch } from './searches.ts';
import type { Statement } from './typed-statement.ts';

export interface NewEvent {
  readonly id: string;
  readonly type: string | null;
  readonly payload: Buffer;
  /** The client's own name for the event, if it has one. */
  readonly idempotencyKey: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  /** How many servers like this one the event has passed. */
  readonly hops: number;
  /** Events that go to the same destinations may share it, and it is then sent to the database once. */
  readonly fanOut: FanOut;
  /** The id of an event that is stored by the same statement. This one is stored only if that one is. */
  readonly follows?: string | null;
  /** What the event that holds the idempotency key of a batch knows of it; see `BatchMark`. */
  readonly batch?: string | null;
}

/** What the database has not stored of a batch of events, as one row. */
export interface StoredBatch {
  /** The numbers of the fan-outs whose token belongs to no account. See `fanOutsOf`. */
  readonly unknown: readonly number[];
  /** The numbers of those whose account has other routes now. */
  readonly stale: readonly number[];
  /** The indexes of the events that were not stored, because another event of the account has their key. */
  readonly duplicates: readonly number[];
}

/** The fan-outs of a batch, each once but for their order keys, and the number of its fan-out for each event. */
export function fanOutsOf(events: readonly NewEvent[]): { fanOuts: readonly FanOut[]; numbers: readonly number[] } {
  const numberOf = new Map<FanOut | string, number>();
  const fanOuts: FanOut[] = [];
  const numbers = events.map(({ fanOut }) => {
    // Events of plain accounts share one object, and need no key.
    const known = numberOf.get(fanOut);
    if (known !== undefined) {
      return known;
    }
    const { tokenHash, version, skipped } = fanOut;
    const key = `${tokenHash} ${version} ${skipped}`;
    const number = numberOf.get(key) ?? fanOuts.push(fanOut) - 1;
    numberOf.set(fanOut, number).set(key, number);
    return number;
  });
  return { fanOuts, numbers };
}

/** Asks for the earlier event of the same account with the same idempotency key. */
export interface EarlierEventLookup {
  readonly tokenHash: string;
  readonly idempotencyKey: string;
  /** Of the later event. */
  readonly payload: Buffer;
  readonly type: string | null;
  /** Events that were received until then have lost their keys. Milliseconds since the Unix epoch. */
  readonly expiredAt: number;
  /** True if the later event is in a batch. */
  readonly wantsBatch: boolean;
}

export interface EarlierEvent {
  readonly id: string;
  readonly deliveries: number;
  /** False if it was sent in a batch. */
  readonly hasSamePayload: boolean;
  readonly hasSameType: boolean;
  /** Of the event that holds the key of a batch, if the look-up asks for it. */
  readonly batch: string | null;
}

/** The earlier event of one look-up. */
export interface EarlierEventRow extends EarlierEvent {
  /** The index of the look-up in its batch. */
  readonly lookup: number;
}

export interface DeliveryCount {
  readonly eventId: string;
  readonly deliveries: number;
}

/** Added to the time of two requests: a claim may wait for a slot while another request uses it. */
export const LEASE_MARGIN_MS = 15_000;

/** A lease is long enough for its own delivery, and no longer: if the worker dies, the delivery waits for its end. */
export function leaseMsOf(timeoutMs: number): number {
  return 2 * timeoutMs + LEASE_MARGIN_MS;
}

interface LeaseRequest {
  /** Milliseconds from now, for a destination without a timeout of its own. For others see `leaseMsOf`. */
  readonly leaseMs: number;
  readonly blame: Blame;
}

export interface ClaimRequest extends LeaseRequest {
  readonly ticket: Ticket;
}

/** Asks for the oldest due deliveries of one destination. */
export interface LaneClaimRequest extends LeaseRequest {
  readonly destinationId: string;
  readonly limit: number;
  /** Deliveries that were due earlier are not looked at. Milliseconds since the Unix epoch. */
  readonly from: number;
}

interface ClaimedAttempt {
  readonly deliveryId: string;
  readonly accountId: string;
  readonly destinationId: string;
  readonly destinationVersion: number;
  readonly eventId: string;
  /** The attempt that this claim begins; counts from 1. */
  readonly attempt: number;
  /** The same, counted from the last manual retry: the position in the retry schedule. */
  readonly attemptInCycle: number;
  /** The sum of the blame of the attempts in a row whose workers died. */
  readonly lostCount: number;
  /** When the delivery was due, in milliseconds since the Unix epoch. */
  readonly dueAt: number;
  /** In bytes. */
  readonly payloadLength: number;
  /** Null if it has no order. */
  readonly place: DeliveryPlace | null;
  /** The destination's expression, which makes the body from the payload; null to send the payload as it is. */
  readonly transform: string | null;
}

/** The result of a claim. */
export interface ClaimedDelivery extends ClaimedAttempt, Omit<RequestSource, 'payload'> {
  /** As the destination has it now. */
  readonly policy: ClaimedPolicy;
  /** `null` if the payload is too large to come with every claim. */
  readonly payload: Buffer | null;
  /** Why nothing can be sent. It becomes the outcome of the attempt. */
  readonly problem: 'SECRET_UNREADABLE' | 'WORKER_DIED' | null;
}

/** The same as it is stored: its secrets are sealed for the account. */
export interface SealedDelivery extends ClaimedAttempt {
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly hops: number;
  readonly eventType: string | null;
  readonly payload: Buffer | null;
  /** See `ClaimedPolicies`. */
  readonly policy: string | null;
  readonly sealedHeaders: string;
  readonly sealedSigningSecret: string;
  readonly sealedPreviousSecret: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly previousSecretUntil: number | null;
}

/** Larger payloads are read one by one, which keeps a batch of claims small in memory. */
export const INLINE_PAYLOAD_BYTES_MAX = 16 * 1024;
/**
 * How much a lost attempt counts: 2 if its worker had little else under way, 1 if any of many deliveries may have killed
 * the worker. Without the difference, a busy process that dies a few times would fail deliveries that had no part in it.
 */
export type Blame = 1 | 2;
/** A delivery fails when the blame of its lost attempts in a row adds up to this: three alone, or six among others. */
export const LOST_COUNT_MAX = 6;

/** Asks for a delivery of one destination whose lease ran out, because its worker died. */
export interface LostClaimRequest extends LeaseRequest {
  readonly destinationId: string;
  /** Deliveries with a higher lost count are left alone. */
  readonly lostMost: number;
}

/** Claims of a destination with a rate limit: the oldest due deliveries, or one whose worker died. */
export interface RatedClaimRequest extends LaneClaimRequest {
  /** Null asks for due deliveries; a number asks for a lost one, see `LostClaimRequest`. */
  readonly lostMost: number | null;
}

/** Tells of a destination with a rate limit. Only rated claims get deliveries of it. */
export interface LimitedDestination {
  readonly destinationId: string;
  /** See `ClaimedPolicies`. */
  readonly policy: string | null;
  /** Milliseconds until the next attempt is allowed; 0 if it is now, or if nobody has looked. */
  readonly limitedForMs: number;
}

export type ClaimRow = SealedDelivery | LimitedDestination | PassedOver;

/** Attempts may come earlier by this share of their distance, because timers are late and the average would suffer. */
export const RATE_SLACK = 0.1;

/** So many of the oldest due deliveries of a destination are searched for lost ones: leased deliveries are the oldest. */
export const LOST_AMONG_MAX = 64;

/** Identifies a claim. */
export interface Claim {
  readonly deliveryId: string;
  readonly attempt: number;
}

export interface AttemptRecord extends Claim {
  readonly destinationVersion: number;
  readonly outcome: AttemptOutcome;
  readonly state: DeliveryState;
  /** As it was claimed. */
  readonly place: DeliveryPlace | null;
}

export interface KeyedId {
  /** The parent's id. */
  readonly key: string;
  readonly id: string;
}

/** A list of children, newest first, for several parents at once. */
export interface NestedPage {
  readonly parentIds: readonly string[];
  /** Children with lower ids than this. */
  readonly before: string;
  /** Of each parent. */
  readonly limit: number;
  /** Parents outside of it, and deleted ones, have no children here. */
  readonly scope: Scope;
}

/**
 * The statements that do too much at once for the mapper; each database has its own. A statement that is not part of a
 * larger transaction must be atomic by itself.
 */
export interface Statements<Procedure = unknown> {
  /**
   * Where the events of an account go now, or nothing if no account has the token. Waits for a change that is under way:
   * an event that is routed meanwhile would have to be routed again.
   */
  readonly findRoutes: (tokenHash: string) => readonly Statement<StoredRoutes>[];
  /**
   * Stores events with their fan-out, if the version of their routes still holds at the commit: no change of the
   * account's routes commits in between. An account has each key once. Events that belong together have routes of one
   * version and follow the first of them, so all are stored or none.
   */
  readonly storeEvents: (events: readonly NewEvent[]) => Statement<StoredBatch, Procedure>;
  /** How many deliveries each of the events has. */
  readonly countDeliveries: (eventIds: readonly string[]) => RawBuilder<DeliveryCount>;
  /** Finds earlier events by their keys, and removes the keys that have expired. */
  readonly findEarlierEvents: (lookups: readonly EarlierEventLookup[]) => readonly Statement<EarlierEventRow>[];
  /**
   * Leases deliveries, begins their next attempt, and reads the parts of its request. The attempt number guards the
   * claim: only one of several tickets for the same attempt gets it. A disabled destination gets nothing, and one
   * with a rate limit gets a `LimitedDestination` instead: plain ones pay nothing for what rated claims do. What is not
   * the next one in its order is parked; see delivery-order.ts.
   */
  readonly claim: (requests: readonly ClaimRequest[]) => readonly Statement<ClaimRow>[];
  /** The same for the oldest due deliveries of destinations. Rows that another claim is taking are passed over. */
  readonly claimLanes: (requests: readonly LaneClaimRequest[]) => readonly Statement<ClaimRow>[];
  /**
   * Takes over a lease that ran out, which counts as a lost attempt. The attempt that uses up what may be lost is
   * handed out once more, and its failure is then recorded.
   */
  readonly claimLost: (requests: readonly LostClaimRequest[]) => readonly Statement<ClaimRow>[];
  /**
   * Claims that keep to the rate limits of their destinations, over all workers together: by the generic cell rate
   * algorithm, with its state locked and by the database's clock. A destination counts once in a batch.
   */
  readonly claimRated: (requests: readonly RatedClaimRequest[]) => readonly Statement<ClaimRow>[];
  /**
   * Writes attempts and the new states of their deliveries. The attempt number and the lease guard them, because a
   * late worker must not overwrite a newer attempt. A recorded attempt stays as it is, and counts as recorded. A
   * destination that answered that it is gone is disabled too, if it has not changed since the request.
   *
   * @returns the attempts that are recorded now, and the deliveries whose turn has come.
   */
  readonly record: (records: readonly AttemptRecord[]) => readonly Statement<Claim | NextDelivery>[];
  /** Gives back claims whose request was never sent: they can be claimed at once, and the attempt does not count. */
  readonly release: (claims: readonly Claim[]) => Statement<never>;
  /** Ends all leases; only for the sole owner of a database. */
  readonly recoverLeases: () => RawBuilder<unknown>;
  readonly findLanes: (search: LaneSearch) => RawBuilder<FoundLane>;
  /** In the order of their due times. */
  readonly findRetries: (search: RetrySearch) => RawBuilder<FoundRetry>;
  /** The bytes of a payload from this offset on, as many as the database can send at once without much memory. */
  readonly payloadPart: (eventId: string, offset: number) => RawBuilder<{ readonly bytes: Buffer }>;
  readonly eventIdsOf: (page: NestedPage) => RawBuilder<KeyedId>;
  readonly deliveryIdsOf: (page: NestedPage, status: DeliveryStatus | undefined) => RawBuilder<KeyedId>;
}
