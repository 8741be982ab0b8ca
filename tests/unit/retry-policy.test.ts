import { describe, expect, test } from '@jest/globals';
import { type AttemptResult, stateAfterAttempt } from '../../src/core/retry-policy.ts';

const POLICY = { retrySchedule: [5_000, 30_000], stopOn: [] };
const HOUR_MS = 3_600_000;

function result(fields: Partial<AttemptResult>): AttemptResult {
  return { attempt: 1, error: 'HTTP_STATUS', statusCode: 500, retryAfter: null, now: 100, ...fields };
}

describe('stateAfterAttempt', () => {
  test('an attempt without error has delivered', () => {
    expect(stateAfterAttempt(result({ error: null, statusCode: 200 }), POLICY, 0.5)).toEqual({
      status: 'SUCCEEDED',
      retryInMs: null,
      completedAt: 100,
    });
  });

  test.each([
    [1, 0.5, 5_000],
    [1, 0, 4_000],
    [1, 0.999999, 6_000],
    [2, 0.5, 30_000],
    [2, 0, 24_000],
  ])(
    'attempt %d that failed is retried after its wait, 20 %% more or less (random %d)',
    (attempt, random, retryInMs) => {
      const state = stateAfterAttempt(result({ attempt, error: 'TIMEOUT', statusCode: null }), POLICY, random);
      expect(state).toEqual({ status: 'PENDING', retryInMs, completedAt: null });
    },
  );

  test.each<[when: string, fields: Partial<AttemptResult>]>([
    ['the schedule is used up', { attempt: 3 }],
    ['the schedule is used up, whatever the destination asks for', { attempt: 3, statusCode: 503, retryAfter: '1' }],
    ['the payload fits into no URL', { error: 'URL_TOO_LONG', statusCode: null }],
    ['the destination is gone, whatever the schedule says', { statusCode: 410, retryAfter: '1' }],
  ])('the delivery has failed when %s', (_when, fields) => {
    const state = stateAfterAttempt(result(fields), POLICY, 0.5);
    expect(state).toEqual({ status: 'FAILED', retryInMs: null, completedAt: 100 });
  });

  test.each([
    [429, '60', 60_000],
    [503, '60', 60_000],
    [503, 'Thu, 01 Jan 1970 00:01:00 GMT', 59_900],
    [503, '4', 5_000],
    [503, '0', 5_000],
    [503, 'Thu, 01 Jan 1970 00:00:00 GMT', 5_000],
    [503, `${24 * 3_600}`, 24 * HOUR_MS],
    [503, `${24 * 3_600 + 1}`, 24 * HOUR_MS],
    [503, '9'.repeat(400), 24 * HOUR_MS],
    [503, 'later', 5_000],
    [500, '60', 5_000],
    [404, '60', 5_000],
    [301, '60', 5_000],
  ])('%d with Retry-After %s waits %d ms where 5 s were planned', (statusCode, retryAfter, wait) => {
    const state = stateAfterAttempt(result({ statusCode, retryAfter }), POLICY, 0.5);
    expect(state).toEqual({ status: 'PENDING', retryInMs: wait, completedAt: null });
  });

  test('a status that ends a delivery does so at once, and no other status does', () => {
    const policy = { ...POLICY, stopOn: [404, 422] };
    const statusAfter = (statusCode: number | null) => stateAfterAttempt(result({ statusCode }), policy, 0.5).status;
    expect([404, 422, 410].map(statusAfter)).toEqual(['FAILED', 'FAILED', 'FAILED']);
    expect([400, 500, null].map(statusAfter)).toEqual(['PENDING', 'PENDING', 'PENDING']);
  });

  test('an empty schedule means no retries', () => {
    expect(stateAfterAttempt(result({}), { retrySchedule: [], stopOn: [] }, 0.5).status).toBe('FAILED');
  });

  test('what a destination asks for is a second at least', () => {
    const state = stateAfterAttempt(
      result({ statusCode: 429, retryAfter: '0' }),
      { retrySchedule: [1], stopOn: [] },
      0.5,
    );
    expect(state.retryInMs).toBe(1_000);
  });
});
