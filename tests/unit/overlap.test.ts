import { describe, expect, test } from '@jest/globals';
import { GraphQLDuration } from 'graphql-scalars';
import { parseOverlap } from '../../src/core/overlap.ts';

const HOUR_MS = 3_600_000;

/** The way of a duration from a variable to the command. */
function parse(text: string): number {
  return parseOverlap(GraphQLDuration.parseValue(text));
}

describe('an overlap', () => {
  test.each([
    ['PT0S', 0],
    ['-PT0S', 0],
    ['PT24H', 24 * HOUR_MS],
    ['P1D', 24 * HOUR_MS],
    ['+P1W', 168 * HOUR_MS],
    ['P1DT1H1M1S', 25 * HOUR_MS + 61_000],
    ['PT0.5S', 500],
    ['PT1,5H', 1.5 * HOUR_MS],
    ['P2DT-24H', 24 * HOUR_MS],
    ['P30D', 720 * HOUR_MS],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parse(text) + 0).toBe(milliseconds);
  });

  test.each(['P30DT0.001S', '-PT1S', 'P-1D', 'P1M', 'P1Y', 'P0Y', `P${'9'.repeat(400)}D`])('%s is refused', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'overlap' }));
  });
});
