import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Transforming } from '../support/transforming.ts';

const MIB = 1_048_576;

let transforming: Transforming;

beforeAll(() => {
  transforming = new Transforming();
});
afterAll(async () => {
  await transforming.stop();
});

const ORDER = {
  type: 'order.paid',
  data: {
    id: 'A-1',
    items: [
      { sku: 'x', quantity: 2, price: 10.5 },
      { sku: 'y', quantity: 1, price: 4 },
    ],
  },
};

test('the result of an expression is written as JSON', async () => {
  const expression =
    '{"order": data.id, "total": $sum(data.items.(quantity * price)), "skus": data.items.sku, "text": "Order " & data.id}';
  expect(await transforming.textOf(expression, ORDER)).toBe(
    '{"order":"A-1","total":25,"skus":["x","y"],"text":"Order A-1"}',
  );
});

test('numbers are those of JavaScript', async () => {
  const payload = '{"n":[12345678901234567890,1.0,1e2,0.1,-0]}';
  expect(await transforming.textOf('{"n": n, "sum": 0.1 + 0.2}', payload)).toBe(
    '{"n":[12345678901234567000,1,100,0.1,0],"sum":0.30000000000000004}',
  );
});

test('fields may have the names of what objects have in JavaScript', async () => {
  const payload = '{"__proto__":{"a":1},"constructor":"builders","toString":2,"then":3,"push":4,"_jsonata":5}';
  expect(await transforming.textOf('$', payload)).toBe(payload);
  expect(await transforming.textOf('$merge([$, {"b": 6}])', payload)).toBe(`${payload.slice(0, -1)},"b":6}`);
  expect(
    await transforming.textOf('{"c": constructor, "p": `__proto__`.a, "constructor": 1, "__proto__": 2}', payload),
  ).toBe('{"c":"builders","p":1,"constructor":1,"__proto__":2}');
  expect(await transforming.textOf('$ ~> |$|{"valueOf": 1, "__proto__": 2}, ["then", "push"]|', payload)).toBe(
    '{"__proto__":2,"constructor":"builders","toString":2,"_jsonata":5,"valueOf":1}',
  );
});

test('text is kept as it is, in UTF-8', async () => {
  const payload = '{"t":"äß€😀 \\u0000\\ud800\\"\\\\"}';
  expect(await transforming.textOf('$', payload)).toBe(payload);
});

test('time and chance are there', async () => {
  const result = JSON.parse(await transforming.textOf('{"now": $now(), "millis": $millis(), "random": $random()}'));
  expect(Math.abs(Date.parse(result.now) - Date.now())).toBeLessThan(60_000);
  expect(Math.abs(result.millis - Date.now())).toBeLessThan(60_000);
  expect(result.random).toBeGreaterThanOrEqual(0);
});

test('functions in the result are left out', async () => {
  const expression =
    '{"a": 1, "lambda": function($x) { $x }, "chain": $string ~> $length, "sum": $sum, "now": $now, "r": /x/}';
  expect(await transforming.textOf(expression)).toBe('{"a":1}');
});

test.each([
  ['nothing', 'missing'],
  ['null', 'null'],
  ['an array', '[1, 2]'],
  ['a string', '"text"'],
  ['a number', '1 + 1'],
  ['a boolean', 'true'],
  ['a function', 'function() { {} }'],
  ['a function', '$sum'],
])('a result that is %s fails: %s', async (kind, expression) => {
  expect(await transforming.textOf(expression)).toBe(`failed: The result must be a JSON object, and it is ${kind}.`);
});

test.each([
  ['data.(1 + id)', 'The right side of the "+" operator must evaluate to a number (T2002, at position 9)'],
  ['$missing(1)', 'Attempted to invoke a non-function (T1006, at position 9)'],
  ['$error("No customer")', 'No customer (D3137, at position 7)'],
  ['{"a": 1', 'Expected "}" before end of expression (S0203, at position 7)'],
  [
    '$eval("1 +")',
    'Syntax error in expression passed to function eval: "Unexpected end of expression" (D3120, at position 6)',
  ],
  ['{"then": /x/}', 'The expression never comes to an end.'],
])('an error says why and where: %s', async (expression, reason) => {
  const failed = await transforming.transform(expression, ORDER);
  expect(failed).toEqual({ failure: reason });
});

test('a reason is bounded, and has no characters that a database would not take', async () => {
  const failed = await transforming.transform('$error(t)', { t: `\u0000${'😀'.repeat(1_000)}` });
  const { failure } = failed as { failure: string };
  expect(failure).toHaveLength(500);
  expect(failure.isWellFormed()).toBe(true);
  expect(failure).toMatch(/^ 😀+.*\(D3137, at position 7\)$/u);
});

test('a payload that is no JSON fails', async () => {
  expect(await transforming.textOf('$', '{"a":')).toMatch(/^failed: .*JSON/);
});

test('payloads and results have up to 1 MiB', async () => {
  const text = 'x'.repeat(MIB - 8);
  expect(await transforming.textOf('$', { t: text })).toBe(JSON.stringify({ t: text }));
  expect(await transforming.textOf('$', { t: `${text}x` })).toBe(
    'failed: A payload of more than 1048576 bytes cannot be transformed.',
  );
  expect(await transforming.textOf('{"t": t & "x"}', { t: text })).toBe(
    'failed: The result has more than 1048576 bytes.',
  );
});

test('many at once come back to whom they belong', async () => {
  const numbers = Array.from({ length: 500 }, (_, index) => index);
  const results = numbers.map((n) =>
    transforming.textOf(`{"n": n + ${n}, "pad": $pad("", n * 20, "-")}`, { n }, { destinationId: `d${n % 7}` }),
  );
  expect(await Promise.all(results)).toEqual(numbers.map((n) => JSON.stringify({ n: n * 2, pad: '-'.repeat(n * 20) })));
});

test('more expressions than are kept compiled still run', async () => {
  const filler = 'x'.repeat(7_000);
  for (const round of [1, 2]) {
    for (let n = 0; n < 40; n += 1) {
      expect(await transforming.textOf(`{"r": r, "n": ${n} /* ${filler} */}`, { r: round })).toBe(
        `{"r":${round},"n":${n}}`,
      );
    }
  }
});
