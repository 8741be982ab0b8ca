import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, dictionary, integer, jsonValue, nat, property, string, tuple } from 'fast-check';
import { HttpError } from '../../src/access/http-error.ts';
import { ArrayCheck, LinesCheck } from '../../src/ingest/batch-check.ts';

const CHECKS = { array: ArrayCheck, lines: LinesCheck };
type Format = keyof typeof CHECKS;

/** @returns the events, or the error's body, when the batch comes in pieces of so many bytes. */
function split(format: Format, bytes: Buffer, { pieceBytes = bytes.length + 1, eventBytesMax = 1_000_000 } = {}) {
  const check = new CHECKS[format](eventBytesMax);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      check.write(bytes.subarray(at, at + pieceBytes));
    }
    check.end(bytes);
    return check.events(bytes).map((event) => event.toString());
  } catch (error) {
    if (error instanceof HttpError) {
      return { status: error.status, ...error.body };
    }
    throw error;
  }
}

const spaces = (characters: string) => string({ unit: constantFrom(...Array.from(characters)), maxLength: 3 });
/** An object's text, with space around its tokens, keys that come twice and letters that are escaped. */
const objects = (characters: string) =>
  tuple(dictionary(string({ unit: 'binary' }), jsonValue({ stringUnit: 'binary' })), spaces(characters), nat(2)).map(
    ([value, space, copies]) => {
      const members = Object.entries(value).map(([key, member]) => {
        // No escape contains an x.
        const name = JSON.stringify(key).replaceAll('x', '\\u0078');
        return `${space}${name}${space}:${JSON.stringify(member)}${space}`;
      });
      return `{${space}${Array(copies + 1)
        .fill(members)
        .flat()
        .join(',')}}`;
    },
  );
const pieces = integer({ min: 1, max: 50 });

describe('a batch is cut into the bytes of its events, whatever is around them and however it arrives', () => {
  test('as an array', () => {
    const entries = array(tuple(spaces(' \t\r\n'), objects(' \t\r\n'), spaces(' \t\r\n')), { minLength: 1 });
    assert(
      property(entries, spaces(' \t\r\n'), pieces, (all, around, pieceBytes) => {
        const text = `${around}[${all.map((entry) => entry.join('')).join(',')}]${around}`;
        expect(split('array', Buffer.from(text), { pieceBytes })).toEqual(all.map(([, object]) => object));
      }),
      { numRuns: 500 },
    );
  });

  test('as lines', () => {
    const entries = array(tuple(spaces(' \t\r'), objects(' \t\r'), spaces(' \t\r')), { minLength: 1 });
    const ends = array(constantFrom('\n', '\r\n', '\n\n', '\n \t\n', '\n\r\n'), { minLength: 1 });
    assert(
      property(entries, ends, constantFrom('', '\n', '\r\n'), pieces, (all, lineEnds, last, pieceBytes) => {
        const lines = all.map((entry, index) => entry.join('') + (lineEnds[index % lineEnds.length] ?? ''));
        const text = lines.join('').trimEnd() + last;
        expect(split('lines', Buffer.from(text), { pieceBytes })).toEqual(all.map(([, object]) => object));
      }),
      { numRuns: 500 },
    );
  });

  test('an array in which something was changed is accepted when JSON.parse does, and is then cut into its entries', () => {
    const characters = constantFrom(...Array.from('{}[]",:\\ \n019-.etfn'), 'é');
    const changes = array(tuple(nat(), nat(2), string({ unit: characters, maxLength: 2 })), { maxLength: 3 });
    const batches = array(dictionary(string({ maxLength: 3 }), jsonValue({ maxDepth: 1 }), { maxKeys: 2 }), {
      maxLength: 3,
    });
    assert(
      property(batches, changes, pieces, (batch, all, pieceBytes) => {
        const text = all.reduce((before, [place, cut, put]) => {
          const at = place % (before.length + 1);
          return before.slice(0, at) + put + before.slice(at + cut);
        }, JSON.stringify(batch));
        const events = split('array', Buffer.from(text), { pieceBytes });
        const values = Array.isArray(events) ? events.map((event) => JSON.parse(event) as unknown) : undefined;
        expect([text, values]).toEqual([text, objectsIn(text)]);
      }),
      { numRuns: 5_000 },
    );
  });
});

/** @returns `undefined` unless the text is an array of objects, and there is one. */
function objectsIn(text: string): unknown[] | undefined {
  try {
    const values = JSON.parse(text) as unknown;
    return Array.isArray(values) && values.length > 0 && values.every(isObject) ? values : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

describe('a batch is refused, and the index says for which event', () => {
  const faulty: [format: Format, text: string, index: number | undefined][] = [
    ['array', '', undefined],
    ['array', ' ', undefined],
    ['array', '[]', undefined],
    ['array', '{}', undefined],
    ['array', '"[{}]"', undefined],
    ['array', '\ufeff[{}]', undefined],
    ['array', '[{}', undefined],
    ['array', '[{}]]', undefined],
    ['array', '[{}] x', undefined],
    ['array', '[{} {}]', undefined],
    ['array', '[', undefined],
    ['array', '[,{}]', 0],
    ['array', '[{},]', 1],
    ['array', '[{},,{}]', 1],
    ['array', '[1]', 0],
    ['array', '[{},{},[],{}]', 2],
    ['array', '[{},"a"]', 1],
    ['array', '[{},null]', 1],
    ['array', '[{},{"a":}]', 1],
    ['array', '[{},{"a":1]', 1],
    ['array', '[{},{"a":1', 1],
    ['array', `[{},{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}]`, 1],
    ['lines', '', undefined],
    ['lines', '\n \r\n', undefined],
    ['lines', '[{}]', 0],
    ['lines', '{}\n\n[]\n', 1],
    ['lines', '\ufeff{}', 0],
    ['lines', '{}\n{}{}\n', 1],
    ['lines', '{},\n{}', 0],
    ['lines', '{}\n{} x', 1],
    ['lines', '{"a":\n1}', 0],
    ['lines', '{}\n\n{"a":1', 1],
    ['lines', '{}\r{}', 0],
  ];

  test.each(faulty)('%s: %j', (format, text, index) => {
    for (const pieceBytes of [1, 2, 3, text.length + 1]) {
      const { detail, ...answer } = split(format, Buffer.from(text), { pieceBytes }) as Record<string, unknown>;
      expect(answer).toEqual({
        status: 400,
        success: false,
        message: 'Invalid Data',
        ...(index !== undefined && { index }),
      });
      expect(detail).toMatch(/^[A-Z].+\.$/u);
    }
  });

  test.each(['array', 'lines'] as const)('%s: the event that is not UTF-8', (format) => {
    const [before, after] = format === 'array' ? ['[{"é":1}, ', ',{}]'] : ['{"é":1}\n\n', '\n{}'];
    const bytes = Buffer.concat([Buffer.from(`${before}{"a":"`), Buffer.from([0xff]), Buffer.from(`"}${after}`)]);
    expect(split(format, bytes)).toMatchObject({ status: 400, index: 1 });
  });

  test('the first event that is larger than one may be, and none that is as large', () => {
    expect(split('array', withEventOf(100), { eventBytesMax: 100 })).toHaveLength(2);
    expect(split('array', withEventOf(101), { eventBytesMax: 100 })).toMatchObject({ status: 413, index: 1 });
    expect(split('array', withEventOf(101), { eventBytesMax: 100, pieceBytes: 7 })).toMatchObject({
      status: 413,
      index: 1,
    });
  });

  test('more than 1,000 events', () => {
    for (const [format, separator, around] of [
      ['array', ',', ['[', ']']],
      ['lines', '\n', ['', '']],
    ] as const) {
      const batch = (count: number) => Buffer.from(around.join(Array(count).fill('{}').join(separator)));
      expect(split(format, batch(1_000))).toHaveLength(1_000);
      const refused = split(format, batch(1_001));
      expect(refused).toMatchObject({ status: 413, message: 'Invalid Data' });
      expect(refused).not.toHaveProperty('index');
    }
  });
});

/** A batch whose second event has so many bytes. */
function withEventOf(bytes: number): Buffer {
  return Buffer.from(`[{}, {"a":"${'x'.repeat(bytes - 8)}"} ]`);
}
