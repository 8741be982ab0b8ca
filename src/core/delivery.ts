/**
 * A delivery is one event on its way to one destination.
 *
 *             claim                 2xx
 *  PENDING ----------> (leased) ----------> SUCCEEDED
 *     ^  ^                |  | attempts used up, or 410 Gone
 *     |  +--- retry at ---+  +-------------> FAILED  (the dead letters)
 *     +------ manual retry ------------------+
 *
 * "Leased" is no status of its own: a claim moves `dueAt` to the end of the lease and counts the attempt.
 * A worker that dies lets the lease run out, and the delivery is due again.
 */
export const DELIVERY_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** Why an attempt failed. The names are stable; they are stored, and shown by the API. */
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
  'SECRET_UNREADABLE',
  'WORKER_DIED',
  'UNKNOWN',
] as const;
export type AttemptError = (typeof ATTEMPT_ERRORS)[number];

/** What one attempt came to: a value, never an exception, because a failing destination is data. */
export interface AttemptOutcome {
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly statusCode: number | null;
  /** `null` means delivered. */
  readonly error: AttemptError | null;
  /** The first bytes of the response. */
  readonly responseBody: Buffer | null;
}

/** The same with what the answer asks of the next attempt, which is not stored. */
export interface ExchangeOutcome extends AttemptOutcome {
  /** The header `Retry-After`, as it was received. */
  readonly retryAfter: string | null;
}

/** The outcome of an attempt whose request was not sent. */
export function outcomeUnsent(startedAt: number, error: AttemptError): ExchangeOutcome {
  return { startedAt, durationMs: 0, statusCode: null, error, responseBody: null, retryAfter: null };
}

/**
 * Only 2xx is success (RFC 9110, 15.3); a redirect is not followed, so it has delivered nothing. An interim status
 * that ends an exchange, as 101 does, is no answer to what was asked.
 */
export function errorOfStatus(statusCode: number): AttemptError | null {
  if (statusCode < 200) {
    return 'INVALID_RESPONSE';
  }
  return statusCode >= 200 && statusCode < 300 ? null : 'HTTP_STATUS';
}

/** "Likely to be permanent" (RFC 9110, 15.5.11): the destination wants nothing more, now or later. */
export function saysGone({ statusCode }: Pick<AttemptOutcome, 'statusCode'>): boolean {
  return statusCode === 410;
}

/** Where a delivery stands after an attempt. */
export interface DeliveryState {
  readonly status: DeliveryStatus;
  /** Until the next attempt, in milliseconds; `null` once there is none. */
  readonly retryInMs: number | null;
  /** Milliseconds since the Unix epoch; `null` while it is pending. */
  readonly completedAt: number | null;
}

/** Says that a delivery waits, and for which attempt: a claim takes it only if no newer attempt has begun. */
export interface Ticket {
  readonly deliveryId: string;
  readonly destinationId: string;
  /** The owner of both, because accounts take turns. */
  readonly accountId: string;
  /** Attempts already claimed when the ticket was written. */
  readonly attempt: number;
}

/** Where deliveries wait, and whose turn it is. */
export type TicketLane = Pick<Ticket, 'destinationId' | 'accountId'>;
