import { type DeliveryState, type ExchangeOutcome, saysGone } from './delivery.ts';

/** Waits in milliseconds: the first before attempt 2, the last before the final attempt. */
export type RetrySchedule = readonly number[];

/** Every wait varies by this share to either side, so that deliveries that failed together are not retried together. */
const JITTER = 0.2;
/** Bounds of a wait that a destination requests with `Retry-After`. */
const RETRY_AFTER_MS_MIN = 1_000;
const RETRY_AFTER_MS_MAX = 86_400_000;

export interface AttemptResult extends Pick<ExchangeOutcome, 'error' | 'statusCode' | 'retryAfter'> {
  /** The attempt in the retry cycle; counts from 1. */
  readonly attempt: number;
  /** When the attempt ended, in milliseconds since the Unix epoch. */
  readonly now: number;
}

export interface RetryPolicy {
  readonly retrySchedule: RetrySchedule;
  /** Statuses that end a delivery at once. */
  readonly stopOn: readonly number[];
}

/** @param random a number in [0, 1) */
export function stateAfterAttempt(
  result: AttemptResult,
  { retrySchedule, stopOn }: RetryPolicy,
  random: number,
): DeliveryState {
  if (result.error === null) {
    return { status: 'SUCCEEDED', retryInMs: null, completedAt: result.now };
  }
  const wait = retrySchedule[result.attempt - 1];
  const mustStop = result.statusCode !== null && stopOn.includes(result.statusCode);
  if (wait === undefined || mustStop || saysGone(result) || isFinal(result)) {
    return { status: 'FAILED', retryInMs: null, completedAt: result.now };
  }
  const spread = 1 + JITTER * (2 * random - 1);
  const planned = Math.round(wait * spread);
  return { status: 'PENDING', retryInMs: Math.max(planned, requestedWait(result)), completedAt: null };
}

/** Another attempt would end the same way or do more harm. */
function isFinal({ error }: AttemptResult): boolean {
  return error === 'WORKER_DIED' || error === 'URL_TOO_LONG' || error === 'TRANSFORM_FAILED';
}

/** Only the statuses for temporary failures count: 429 (RFC 6585, 4) and 503 (RFC 9110, 15.6.4). */
function requestedWait({ statusCode, retryAfter, now }: AttemptResult): number {
  if (retryAfter === null || (statusCode !== 429 && statusCode !== 503)) {
    return 0;
  }
  const requested = parseRetryAfter(retryAfter, now);
  return requested === undefined ? 0 : Math.min(Math.max(requested, RETRY_AFTER_MS_MIN), RETRY_AFTER_MS_MAX);
}

const DAY_NAME = '(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const TIME = String.raw`\d{2}:\d{2}:\d{2}`;

/** The three date formats that RFC 9110, 5.6.7 requires of a recipient. The last one names no time zone. */
const HTTP_DATE = new RegExp(
  String.raw`^(?:${DAY_NAME}, (?:\d{2} ${MONTH} \d{4}|\d{2}-${MONTH}-\d{2}) ${TIME} GMT|${DAY_NAME} ${MONTH} [ \d]\d ${TIME} \d{4})$`,
  'u',
);

/**
 * Parses `Retry-After`, which is a number of seconds or a date (RFC 9110, 10.2.3).
 *
 * @param now milliseconds since the Unix epoch
 * @returns milliseconds, below zero for a date in the past; `undefined` for an invalid value
 */
export function parseRetryAfter(value: string, now: number): number | undefined {
  if (/^\d+$/u.test(value)) {
    return Number(value) * 1000;
  }
  if (!HTTP_DATE.test(value)) {
    return undefined;
  }
  const date = Date.parse(value.endsWith(' GMT') ? value : `${value} GMT`);
  return Number.isNaN(date) ? undefined : date - now;
}
