import { describe, expect, test } from '@jest/globals';
import { requireOverlap } from '../../src/core/inputs.ts';
import { Duration } from '../../src/graphql/scalars.ts';

/** The way of a duration from a variable to the command. */
function requireOverlapOf(text: string): void {
  requireOverlap(Duration.parseValue(text));
}

describe('an overlap', () => {
  test.each(['PT0S', '-PT0S', 'PT24H', '+P1W', 'P30D'])('may be %s', (text) => {
    expect(() => requireOverlapOf(text)).not.toThrow();
  });

  test.each(['P30DT0.001S', 'P5W'])('%s is refused', (text) => {
    expect(() => requireOverlapOf(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'overlap' }));
  });
});
