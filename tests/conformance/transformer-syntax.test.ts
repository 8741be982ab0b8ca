import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Transforming } from '../support/transforming.ts';

let transforming: Transforming;

beforeAll(() => {
  transforming = new Transforming();
});
afterAll(async () => {
  await transforming.stop();
});

/** An expression of so many bytes. */
function comment(bytes: number): string {
  return `{}/*${'€'.repeat((bytes - 6) / 3)}*/`;
}

function parse(expression: string): Promise<void> {
  return transforming.transformer.parse('account', expression);
}

test.each(['{"a": b.c}', '$', '$now()', '( $f := function($x) { $x }; $f(1) )', '/* nothing */ {}', 'a[b = /x/i]'])(
  '%s is an expression',
  async (expression) => {
    await expect(parse(expression)).resolves.toBeUndefined();
  },
);

test.each([
  [
    '{"a": 1',
    /^The transformation is no JSONata expression: Expected "}" before end of expression \(S0203, at position 7\)$/,
  ],
  ['a.*.', /Unexpected end of expression \(S0207, at position 4\)$/],
  ['a ! b', /\(S\d{4}, at position 3\)$/],
  ['"abc', /\(S0101, at position 4\)$/],
  ['a[/+/]', /expression: Invalid regular expression: /],
  ['', /Unexpected end of expression \(S0207, at position 0\)$/],
  ['{"a": 1} }', /\(S0201, at position 10\)$/],
])('%j is refused, with the place', async (expression, reason) => {
  await expect(parse(expression)).rejects.toMatchObject({
    name: 'DomainError',
    code: 'BAD_USER_INPUT',
    field: 'transform',
    message: expect.stringMatching(reason),
  });
});

test.each(['(', '[', '{"a":', '-', 'a.', '1+', 'function(){', 'a[', '$f(', 'a?', '%.'])(
  'an expression that nests %j as deeply as it can is answered',
  async (piece) => {
    const expression = piece.repeat(Math.floor(8_192 / piece.length));
    await expect(parse(expression)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(parse('{}')).resolves.toBeUndefined();
  },
);

test('an expression has up to 8 KiB of well-formed text', async () => {
  await expect(parse(comment(8_190))).resolves.toBeUndefined();
  await expect(parse(comment(8_193))).rejects.toThrow('The transformation has at most 8192 bytes.');
  for (const text of ['"\ud800"', '"\u0000"', '"\u0007"']) {
    await expect(parse(text)).rejects.toThrow('The transformation must be Unicode text without control characters.');
  }
  await expect(parse('{\t"a":\r\n1}')).resolves.toBeUndefined();
});
