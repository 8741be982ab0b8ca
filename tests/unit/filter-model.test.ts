import { describe, expect, test } from '@jest/globals';
import { assert, property } from 'fast-check';
import sift from 'sift';
import { DomainError } from '../../src/core/errors.ts';
import { evaluate, type Filter } from '../../src/core/filter.ts';
import { parseFilter } from '../../src/core/filter-input.ts';
import { filter, type JsonObject, nonsense, payload } from '../support/filter-arbitraries.ts';
import { commonFilter, commonPayload } from '../support/filter-common-ground.ts';
import { matchesByReference } from '../support/filter-reference.ts';

const RUNS = 10_000;
/** The types of the package speak of an object around it, which is not there. */
const siftFor = sift as unknown as typeof sift.default;

/** Counts both answers, because a generator whose filters never match would show nothing. */
function createComparison(expected: (input: JsonObject, value: JsonObject) => boolean) {
  const seen = { true: 0, false: 0 };
  return {
    seen,
    compare: (input: JsonObject, value: JsonObject) => {
      const { matches } = evaluate(parseFilter(input), value);
      seen[`${matches}`] += 1;
      expect(matches).toBe(expected(input, value));
    },
  };
}

function parsedOrRefused(input: unknown): Filter | undefined {
  try {
    return parseFilter(input);
  } catch (error) {
    if (error instanceof DomainError && error.code === 'BAD_USER_INPUT' && error.field === 'filter') {
      return undefined;
    }
    throw error;
  }
}

describe('filters made at random', () => {
  test('match what they match by the plain reference', () => {
    const { seen, compare } = createComparison(matchesByReference);
    assert(property(filter, payload, compare), { numRuns: RUNS });
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(RUNS / 10);
  });

  test('match what they match by sift, where both mean the same', () => {
    const { seen, compare } = createComparison((input, value) => siftFor(input)(value));
    assert(property(commonFilter, commonPayload, compare), { numRuns: RUNS });
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(RUNS / 10);
  });

  test('are refused with a sentence, or evaluated, and nothing ever throws', () => {
    const seen = { refused: 0, evaluated: 0 };
    assert(
      property(nonsense, payload, (input, value) => {
        const compiled = parsedOrRefused(input);
        seen[compiled === undefined ? 'refused' : 'evaluated'] += 1;
        const result = compiled && evaluate(compiled, value);
        expect(result?.matches ?? false).toBe(result !== undefined && !('path' in result));
      }),
      { numRuns: RUNS },
    );
    expect(Math.min(seen.refused, seen.evaluated)).toBeGreaterThan(RUNS / 20);
  });
});
