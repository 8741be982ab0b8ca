import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, nat, property, string, tuple } from 'fast-check';
import { compareCodePoints, comparesByCodeUnit } from '../../src/core/code-points.ts';
import { Substring } from '../../src/core/substring.ts';

const HEAD = 'a'.repeat(32);

/** Long runs, so that beginnings are found again and again. */
const repetitive = array(tuple(constantFrom('a', 'b', 'ab', HEAD, `${HEAD}b`), nat(4)), { maxLength: 8 }).map((runs) =>
  runs.map(([text, times]) => text.repeat(times)).join(''),
);

describe('a part of a string', () => {
  test('is found exactly where the engine finds it', () => {
    assert(
      property(repetitive, repetitive, repetitive, (before, part, after) => {
        expect(new Substring(part).isIn(before + part + after)).toBe(true);
        expect(new Substring(part).isIn(before + after)).toBe((before + after).includes(part));
      }),
      { numRuns: 3_000 },
    );
  });

  test('is looked for in a time that grows with the string alone', () => {
    // The engine's own search takes minutes for this one.
    const part = new Substring(`${'a'.repeat(4_000)}b${'a'.repeat(3_999)}`);
    const text = 'a'.repeat(32 * 1_048_576);
    expect(part.isIn(text)).toBe(false);
    expect(part.isIn(`${text}b${text}`)).toBe(true);
  });
});

describe('the order of code points', () => {
  const unit = constantFrom(
    'a',
    '\ud7ff',
    '\ud800',
    '\ud83d',
    '\udbff',
    '\udc00',
    '\ude00',
    '\udfff',
    '\ue000',
    '\uffff',
  );
  const text = array(unit, { maxLength: 5 }).map((units) => units.join(''));

  test('is that of the lists of code points', () => {
    assert(
      property(text, text, (one, other) => {
        expect(Math.sign(compareCodePoints(one, other))).toBe(
          compareLists(Array.from(one, codePoint), Array.from(other, codePoint)),
        );
      }),
      { numRuns: 10_000 },
    );
  });

  test('is that of code units, where one of the two says so', () => {
    assert(
      property(string({ unit: constantFrom('a', 'é', '\ud7ff') }), text, (one, other) => {
        expect(comparesByCodeUnit(one)).toBe(true);
        expect(Math.sign(compareCodePoints(one, other))).toBe(one < other ? -1 : Number(one > other));
      }),
    );
  });
});

function codePoint(character: string): number {
  return character.codePointAt(0) ?? -1;
}

function compareLists(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((value, index) => value !== other[index]);
  return Math.sign(at === -1 ? one.length - other.length : (one[at] ?? -1) - (other[at] ?? -1));
}
