import { type DeliveryState, type ExchangeOutcome, saysGone } from './delivery.ts';

/** Waiting times in milliseconds: the first before attempt 2, the last before the final attempt. */
export type RetrySchedule = readonly number[];

/** Every wait is spread by this share to either side, so that what failed together does not return together. */
const JITTER = 0.2;
/** What a destination can ask for by `Retry-After`. */
const ASKED_MS_MIN = 1_000;
const ASKED_MS_MAX = 86_400_000;

export interface AttemptResult extends Pick<ExchangeOutcome, 'error' | 'statusCode' | 'retryAfter'> {
  /** Counts from 1. */
  readonly attempt: number;
  /** When the attempt ended, in milliseconds since the Unix epoch. */
  readonly now: number;
}

/** @param random a number in [0, 1) */
export function stateAfterAttempt(result: AttemptResult, schedule: RetrySchedule, random: number): DeliveryState {
  if (result.error === null) {
    return { status: 'SUCCEEDED', retryInMs: null, completedAt: result.now };
  }
  const wait = schedule[result.attempt - 1];
  if (wait === undefined || saysGone(result) || isFinal(result)) {
    return { status: 'FAILED', retryInMs: null, completedAt: result.now };
  }
  const spread = 1 + JITTER * (2 * random - 1);
  const planned = Math.round(wait * spread);
  return { status: 'PENDING', retryInMs: Math.max(planned, askedWait(result)), completedAt: null };
}

/** Another attempt would end the same way, or do more harm. */
function isFinal({ error }: AttemptResult): boolean {
  return error === 'WORKER_DIED' || error === 'URL_TOO_LONG';
}

/** Only where the status says that the trouble is a passing one: 429 (RFC 6585, 4) and 503 (RFC 9110, 15.6.4). */
function askedWait({ statusCode, retryAfter, now }: AttemptResult): number {
  if (retryAfter === null || (statusCode !== 429 && statusCode !== 503)) {
    return 0;
  }
  const asked = parseRetryAfter(retryAfter, now);
  return asked === undefined ? 0 : Math.min(Math.max(asked, ASKED_MS_MIN), ASKED_MS_MAX);
}

const DAY_NAME = '(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const TIME = String.raw`\d{2}:\d{2}:\d{2}`;

/** The three spellings of a date that RFC 9110, 5.6.7 asks of a recipient; the last one does not name its zone. */
const HTTP_DATE = new RegExp(
  String.raw`^(?:${DAY_NAME}, (?:\d{2} ${MONTH} \d{4}|\d{2}-${MONTH}-\d{2}) ${TIME} GMT|${DAY_NAME} ${MONTH} [ \d]\d ${TIME} \d{4})$`,
  'u',
);

/**
 * How long `Retry-After` asks to wait, in milliseconds: seconds, or a date (RFC 9110, 10.2.3). A date that is
 * past is a wait below zero.
 *
 * @param now milliseconds since the Unix epoch
 * @returns `undefined` when it is neither.
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
