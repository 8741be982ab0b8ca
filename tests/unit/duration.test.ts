import { describe, expect, test } from '@jest/globals';
import { assert, integer, property } from 'fast-check';
import { Kind } from 'graphql';
import { Duration } from '../../src/graphql/scalars.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Both ways into the API must take and refuse the same: the value of a variable, and a literal in the query. */
function parseBothWays(text: string): number {
  const value = Duration.parseValue(text);
  expect(Duration.parseLiteral({ kind: Kind.STRING, value: text })).toBe(value);
  return value;
}

describe('a duration that is received', () => {
  test.each([
    ['PT0S', 0],
    ['-PT0S', 0],
    ['PT0.001S', 1],
    ['PT0.1S', 100],
    ['PT0.5S', 500],
    ['PT2M', 2 * MINUTE_MS],
    ['PT1,5H', 90 * MINUTE_MS],
    ['PT1H30M', 90 * MINUTE_MS],
    ['PT24H', DAY_MS],
    ['P1D', DAY_MS],
    ['P0.5D', 12 * HOUR_MS],
    ['P1DT1H1M1S', DAY_MS + HOUR_MS + MINUTE_MS + SECOND_MS],
    ['P2DT-24H', DAY_MS],
    ['P7D', 7 * DAY_MS],
    ['P2W', 14 * DAY_MS],
    ['+P1W', 7 * DAY_MS],
    ['P+1W', 7 * DAY_MS],
    ['P1W1D', 8 * DAY_MS],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseBothWays(text)).toBe(milliseconds);
  });

  test.each(['PT0.0004S', 'PT0.0005S'])('is rounded to the millisecond: %s', (text) => {
    expect(parseBothWays(text)).toBe(text === 'PT0.0004S' ? 0 : 1);
  });

  test.each(['P1Y', 'P0Y', 'P1M', 'P0M', 'P1Y2M3DT4H', 'P1MT1M', '-P1Y'])(
    'may have no years and months: %s',
    (text) => {
      for (const parse of bothWays(text)) {
        expect(parse).toThrow(/^must be an ISO 8601 duration without years and months, because their length varies; /u);
      }
    },
  );

  test.each(['-PT1S', 'P-1D', 'P1DT-25H'])('may not be negative: %s', (text) => {
    for (const parse of bothWays(text)) {
      expect(parse).toThrow(/^must be an ISO 8601 duration that is not negative\.$/u);
    }
  });

  test.each([
    '',
    'P',
    'PT',
    'P1DT',
    'p1d',
    'P1d',
    'PT1s',
    ' PT1S',
    'PT1S ',
    'PT1S\n',
    'xPT1S',
    '1S',
    'T1S',
    'P1H',
    'P1D1W',
    'PT1M1H',
    'PT.5S',
    'PT1.S',
    'PT1e3S',
    'P١D',
    '15s',
    '00:15:00',
    'P0001-00-00T00:00:00',
    `P${'9'.repeat(90)}D`,
    `P${'9'.repeat(400)}D`,
    'P104249992D',
  ])('must have the form: %j', (text) => {
    for (const parse of bothWays(text)) {
      expect(parse).toThrow(/^must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as /u);
    }
  });

  test.each([1, 3.5, true, null, [], {}, ['PT1S', 'PT1S']])('must be a text, not %j', (value) => {
    expect(() => Duration.parseValue(value)).toThrow(/^must be an ISO 8601 duration of weeks, /u);
  });

  test('must be a text in a query, too', () => {
    expect(() => Duration.parseLiteral({ kind: Kind.INT, value: '1' })).toThrow(/^must be an ISO 8601 duration of /u);
  });

  test('is judged in no time, however long it is', () => {
    const started = performance.now();
    for (const text of [`P${'0'.repeat(200_000)}`, `P${'0'.repeat(200_000)}D`, `PT1S${'P'.repeat(200_000)}`]) {
      expect(() => Duration.parseValue(text)).toThrow(/^must be an ISO 8601 duration of weeks, /u);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

function bothWays(text: string): (() => unknown)[] {
  return [() => Duration.parseValue(text), () => Duration.parseLiteral({ kind: Kind.STRING, value: text })];
}

describe('a duration that is answered', () => {
  test.each([
    [0, 'PT0S'],
    [1, 'PT0.001S'],
    [100, 'PT0.1S'],
    [59_999, 'PT59.999S'],
    [2 * MINUTE_MS, 'PT2M'],
    [90 * MINUTE_MS, 'PT1H30M'],
    [DAY_MS, 'PT24H'],
    [DAY_MS + 1, 'P1DT0.001S'],
    [7 * DAY_MS, 'P7D'],
    [14 * DAY_MS + HOUR_MS, 'P14DT1H'],
  ])('%d ms is %s', (milliseconds, text) => {
    expect(Duration.serialize(milliseconds)).toBe(text);
  });

  test('reads as what it was, up to centuries', () => {
    assert(
      property(integer({ min: 0, max: 100_000 * DAY_MS }), (milliseconds) => {
        expect(parseBothWays(Duration.serialize(milliseconds))).toBe(milliseconds);
      }),
    );
  });
});
