/**
 * A delivery brings one event to one destination.
 *
 *             claim                 2xx
 *  PENDING ----------> (leased) ----------> SUCCEEDED
 *     ^  ^                |  | attempts used up, or 410 Gone
 *     |  +--- retry at ---+  +-------------> FAILED  (the dead letters)
 *     +------ manual retry ------------------+
 *
 * "Leased" is not a status: a claim moves `dueAt` to the end of the lease and counts the attempt. If the worker dies,
 * the lease runs out and the delivery is due again.
 */
export const DELIVERY_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** Why an attempt failed. The names are stored and shown by the API, so they must not change. */
export const ATTEMPT_ERRORS = [
  'HTTP_STATUS',
  'TIMEOUT',
  'DNS',
  'CONNECTION_REFUSED',
  'CONNECTION_RESET',
  'UNREACHABLE',
  'ADDRESS_REFUSED',
  'TLS',
  'INVALID_RESPONSE',
  'INVALID_REQUEST',
  'URL_TOO_LONG',
  'TRANSFORM_FAILED',
  'SECRET_UNREADABLE',
  'WORKER_DIED',
  'UNKNOWN',
] as const;
export type AttemptError = (typeof ATTEMPT_ERRORS)[number];

/** The outcome of one attempt. A failing destination is data, so this is never an exception. */
export interface AttemptOutcome {
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly statusCode: number | null;
  /** `null` means delivered. */
  readonly error: AttemptError | null;
  /** The reason for the error in words, if more is known than its code says; see `attemptMessage`. */
  readonly message: string | null;
  /** Only its first bytes. */
  readonly responseBody: Buffer | null;
}

/** The outcome with the part that only the retry policy needs, and that is not stored. */
export interface ExchangeOutcome extends AttemptOutcome {
  /** The header `Retry-After` as received. */
  readonly retryAfter: string | null;
}

/** The outcome of an attempt whose request was not sent. */
export function outcomeUnsent(startedAt: number, error: AttemptError, reason: string | null = null): ExchangeOutcome {
  const message = reason === null ? null : attemptMessage(reason);
  return { startedAt, durationMs: 0, statusCode: null, error, message, responseBody: null, retryAfter: null };
}

const MESSAGE_CHARACTERS_MAX = 500;

/** Parts of it may come from others: it gets a bounded length, and loses what a database or a terminal would not take. */
export function attemptMessage(text: string): string {
  return text
    .slice(0, MESSAGE_CHARACTERS_MAX)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ');
}

/**
 * Only 2xx is a success (RFC 9110, 15.3). A redirect is not followed, so it has delivered nothing. A final status below
 * 200, such as 101, does not answer the request.
 */
export function errorOfStatus(statusCode: number): AttemptError | null {
  if (statusCode < 200) {
    return 'INVALID_RESPONSE';
  }
  return statusCode >= 200 && statusCode < 300 ? null : 'HTTP_STATUS';
}

/** 410 is "likely to be permanent" (RFC 9110, 15.5.11): the destination wants no more requests. */
export function saysGone({ statusCode }: Pick<AttemptOutcome, 'statusCode'>): boolean {
  return statusCode === 410;
}

/** The state of a delivery after an attempt. */
export interface DeliveryState {
  readonly status: DeliveryStatus;
  /** Milliseconds until the next attempt; `null` if there is none. */
  readonly retryInMs: number | null;
  /** Milliseconds since the Unix epoch; `null` while the delivery is pending. */
  readonly completedAt: number | null;
}

/** Announces a due delivery. A claim by ticket succeeds only if no newer attempt has begun. */
export interface Ticket {
  readonly deliveryId: string;
  readonly destinationId: string;
  /** The owner of both. The scheduler lets accounts take turns. */
  readonly accountId: string;
  /** The number of attempts claimed before the ticket was written. */
  readonly attempt: number;
}

/** Names the lane of a destination. */
export type TicketLane = Pick<Ticket, 'destinationId' | 'accountId'>;
