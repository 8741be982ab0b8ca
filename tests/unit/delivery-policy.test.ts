import { describe, expect, test } from '@jest/globals';
import { parsePolicy, type PolicyPatch } from '../../src/core/delivery-policy.ts';

const DAY_MS = 86_400_000;

describe('a policy', () => {
  test.each<PolicyPatch>([
    {},
    { timeoutMs: 100 },
    { timeoutMs: 120_000 },
    { retrySchedule: [] },
    { retrySchedule: [0, 7 * DAY_MS] },
    { retrySchedule: Array.from({ length: 20 }, () => 1) },
    { maxConcurrency: 1 },
    { maxConcurrency: 256 },
    { rateLimit: { count: 1, perMs: 1_000 } },
    { rateLimit: { count: 10_000, perMs: DAY_MS } },
    { stopOn: [] },
    { stopOn: [400, 404, 422] },
    { orderBy: '*' },
    { orderBy: 'data.customer.id' },
    { timeoutMs: null, retrySchedule: null, maxConcurrency: null, rateLimit: null, stopOn: null, orderBy: null },
  ])('can be %p', (patch) => {
    expect(parsePolicy(patch)).toEqual(patch);
  });

  test.each<[string, PolicyPatch]>([
    ['timeout', { timeoutMs: 99 }],
    ['timeout', { timeoutMs: 120_001 }],
    ['retrySchedule', { retrySchedule: Array.from({ length: 21 }, () => 1) }],
    ['retrySchedule', { retrySchedule: [1, 7 * DAY_MS + 1] }],
    ['retrySchedule', { retrySchedule: [-1] }],
    ['maxConcurrency', { maxConcurrency: 0 }],
    ['maxConcurrency', { maxConcurrency: 257 }],
    ['rateLimit', { rateLimit: { count: 0, perMs: 1_000 } }],
    ['rateLimit', { rateLimit: { count: 10_001, perMs: 1_000 } }],
    ['rateLimit', { rateLimit: { count: 1, perMs: 999 } }],
    ['rateLimit', { rateLimit: { count: 1, perMs: DAY_MS + 1 } }],
    ['stopOn', { stopOn: [200] }],
    ['stopOn', { stopOn: [600] }],
    ['stopOn', { stopOn: Array.from({ length: 51 }, () => 400) }],
    ['orderBy', { orderBy: '' }],
    ['orderBy', { orderBy: 'a..b' }],
  ])('is refused with the name of the field: %s in %p', (field, patch) => {
    expect(() => parsePolicy(patch)).toThrow(
      expect.objectContaining({ code: 'BAD_USER_INPUT', field: `policy.${field}` }),
    );
  });
});
