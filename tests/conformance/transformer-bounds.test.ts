import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Transforming } from '../support/transforming.ts';

const TIME = 'failed: The expression took more than 50 ms of processor time.';
const MEMORY = 'failed: The expression took more memory than it may.';

/** Each doubles a value so often. */
const doubled = (start: string, by: string, times: number): string =>
  `( $d := function($v, $n) { $n = 0 ? $v : $d(${by}, $n - 1) }; $d(${start}, ${times}) )`;
const TEXT = doubled('"abcdefgh"', '$v & $v', 25);

let transforming: Transforming;

beforeAll(() => {
  transforming = new Transforming();
});
afterAll(async () => {
  await transforming.stop();
});

test.each([
  ['calls itself', '( $f := function() { $f() }; $f() )'],
  ['calls itself by another', '( $f := function() { $g() }; $g := function() { $f() }; $f() )'],
  ['maps a map', '( $n := [1..1000]; $map($n, function($a) { $map($n, function($b) { $a * $b }) }) )'],
  ['folds', '$reduce([1..90000], function($a, $b) { $a + $b })'],
  ['sifts', '$sift($merge([1..9000].{$string($): $}), function($v) { $v > $random() })'],
  ['sorts', '$sort([1..50000], function($a, $b) { $random() > 0.5 })'],
  ['matches for ever', '$match(text, /^(a+)+$/)'],
  ['matches within a group for ever', '{"r": $replace(text, /(a*)*b/, "x")}'],
  ['evaluates itself', '( $e := "( $f := function() { $f() }; $f() )"; $eval($e) )'],
  ['looks for what is distinct', '$distinct([1..90000])'],
  [
    'reads a date with a costly pattern',
    '$toMillis($pad("", 60, "1") & "x", "[f1][f1][f1][f1][f1][f1][f1][f1][f1][f1]")',
  ],
])("an expression that %s ends, and nobody else's with it", async (_what, expression) => {
  const payload = { text: `${'a'.repeat(40)}!` };
  const endless = transforming.textOf(expression, payload, { accountId: 'endless' });
  const others = Array.from({ length: 20 }, (_, n) =>
    transforming.textOf(`{"n": ${n}}`, {}, { accountId: `other ${n % 3}`, destinationId: `d${n}` }),
  );
  expect(await Promise.all(others)).toEqual(Array.from({ length: 20 }, (_, n) => `{"n":${n}}`));
  expect(await endless).toBe(TIME);
});

test.each([
  ['writes a long text', `$uppercase(${TEXT})`],
  ['takes a long text apart', `$length(${TEXT})`],
  ['pads', '{"t": $pad("", 500000000, "x")}'],
  [
    'writes what contains itself many times',
    `{"t": $string(${doubled('{"a": "abcdefgh"}', '{"a": $v, "b": $v}', 26)})}`,
  ],
  ['encodes a long text', `{"t": $base64encode(${TEXT})}`],
])(
  "an expression that %s is ended because it takes too much time or memory, and nobody else's is",
  async (_what, expression) => {
    const hungry = transforming.textOf(expression, {}, { accountId: 'hungry' });
    const others = Array.from({ length: 20 }, (_, n) =>
      transforming.textOf(`{"n": ${n}}`, {}, { accountId: `other ${n % 3}`, destinationId: `d${n}` }),
    );
    expect(await Promise.all(others)).toEqual(Array.from({ length: 20 }, (_, n) => `{"n":${n}}`));
    expect([TIME, MEMORY]).toContain(await hungry);
  },
);

test.each([
  ['a range', '[1..10000000]'],
  ['a range that is used', '$sum([1..1000000])'],
  ['a list that grows', doubled('[1, 2, 3]', '$append($v, $v)', 24)],
])('a sequence is bounded: %s', async (_what, expression) => {
  expect(await transforming.textOf(expression)).toMatch(
    /^failed: The maximum sequence length of \d+ was exceeded\. \(D2015/,
  );
});

test('depth is bounded', async () => {
  const down = '( $f := function($n) { $n = 0 ? 0 : 1 + $f($n - 1) }; {"n": $f(n)} )';
  expect(await transforming.textOf(down, { n: 150 })).toBe('{"n":150}');
  expect(await transforming.textOf(down, { n: 1_000_000 })).toMatch(
    /^failed: Stack overflow\. .*\(D1011, at position \d+\)$/,
  );
});

test('time in which a process does not get to run does not count', async () => {
  await transforming.textOf('{}');
  const other = new Transforming();
  try {
    const [stopped] = transforming.running;
    stopped?.kill('SIGSTOP');
    const waiting = transforming.textOf('{"n": $sum([1..1000])}', {}, { accountId: 'waiting' });
    // Takes more than the bound.
    expect(await other.textOf('$match(text, /^(a+)+$/)', { text: `${'a'.repeat(40)}!` })).toBe(TIME);
    stopped?.kill('SIGCONT');
    expect(await waiting).toBe('{"n":500500}');
  } finally {
    await other.stop();
  }
});
