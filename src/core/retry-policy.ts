import type { AttemptError, DeliveryState } from './delivery.ts';

/** Waiting times in milliseconds: the first before attempt 2, the last before the final attempt. */
export type RetrySchedule = readonly number[];

/** Every wait is spread by this share to either side, so that what failed together does not return together. */
const JITTER = 0.2;

export interface AttemptResult {
  /** Counts from 1. */
  readonly attempt: number;
  readonly error: AttemptError | null;
  /** When the attempt ended, in milliseconds since the Unix epoch. */
  readonly now: number;
}

/** @param random a number in [0, 1) */
export function stateAfterAttempt(result: AttemptResult, schedule: RetrySchedule, random: number): DeliveryState {
  if (result.error === null) {
    return { status: 'SUCCEEDED', dueAt: null, completedAt: result.now };
  }
  const wait = schedule[result.attempt - 1];
  if (wait === undefined) {
    return { status: 'FAILED', dueAt: null, completedAt: result.now };
  }
  const spread = 1 + JITTER * (2 * random - 1);
  return { status: 'PENDING', dueAt: result.now + Math.round(wait * spread), completedAt: null };
}
