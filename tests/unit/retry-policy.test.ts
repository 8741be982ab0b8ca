import { describe, expect, test } from '@jest/globals';
import { stateAfterAttempt } from '../../src/core/retry-policy.ts';

const SCHEDULE = [5_000, 30_000];

describe('stateAfterAttempt', () => {
  test('an attempt without error has delivered', () => {
    expect(stateAfterAttempt({ attempt: 1, error: null, now: 100 }, SCHEDULE, 0.5)).toEqual({
      status: 'SUCCEEDED',
      dueAt: null,
      completedAt: 100,
    });
  });

  test.each([
    [1, 0.5, 5_100],
    [1, 0, 4_100],
    [1, 0.999999, 6_100],
    [2, 0.5, 30_100],
    [2, 0, 24_100],
  ])('attempt %d that failed is retried after its wait, 20 %% more or less (random %d)', (attempt, random, dueAt) => {
    const state = stateAfterAttempt({ attempt, error: 'TIMEOUT', now: 100 }, SCHEDULE, random);
    expect(state).toEqual({ status: 'PENDING', dueAt, completedAt: null });
  });

  test('when the schedule is used up the delivery has failed', () => {
    const state = stateAfterAttempt({ attempt: 3, error: 'HTTP_STATUS', now: 100 }, SCHEDULE, 0.5);
    expect(state).toEqual({ status: 'FAILED', dueAt: null, completedAt: 100 });
  });
});
