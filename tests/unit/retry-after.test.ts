import { describe, expect, test } from '@jest/globals';
import { parseRetryAfter } from '../../src/core/retry-policy.ts';

const NOW = Date.UTC(1994, 10, 6, 8, 49, 7);

describe('parseRetryAfter', () => {
  test.each([
    ['seconds', '120', 120_000],
    ['no seconds', '0', 0],
    ['seconds without end', '9'.repeat(400), Number.POSITIVE_INFINITY],
    ['a date', 'Sun, 06 Nov 1994 08:49:37 GMT', 30_000],
    ['a date as it was written before', 'Sunday, 06-Nov-94 08:49:37 GMT', 30_000],
    ["a date of C's asctime", 'Sun Nov  6 08:49:37 1994', 30_000],
    ['a date that is past', 'Sun, 06 Nov 1994 08:49:06 GMT', -1_000],
  ])('understands %s', (_what, value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });

  test.each([
    '',
    ' ',
    '1.5',
    '-1',
    '+1',
    '0x10',
    '1e3',
    '10 s',
    '120, 60',
    'soon',
    '1994-11-06T08:49:37Z',
    '06 Nov 1994',
    'Sun, 06 Nov 1994 08:49:37 +0100',
    'Sun, 06 Nov 1994 25:61:61 GMT',
  ])('does not make something of %p', (value) => {
    expect(parseRetryAfter(value, NOW)).toBeUndefined();
  });
});
