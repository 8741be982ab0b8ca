import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BUILT_IN } from '../../src/transform/hardening.ts';
import { Transforming } from '../support/transforming.ts';

let transforming: Transforming;

beforeAll(() => {
  transforming = new Transforming();
});
afterAll(async () => {
  await transforming.stop();
});

/** Shows others everything that an expression could have changed. */
const CANARY = `{
  "upper": $uppercase("a"), "sum": $sum([1, 2]), "chain": ($string ~> $length)(12), "partial": $substring(?, 1)("ab"),
  "map": $map([1, 2], function($v) { $v + 1 }), "range": [1..3], "text": $string({"a": 1}), "keys": $keys({"a": 1})
}`;
const UNCHANGED =
  '{"upper":"A","sum":3,"chain":2,"partial":"b","map":[2,3],"range":[1,2,3],"text":"{\\"a\\":1}","keys":"a"}';

/** Makes an object of a function, which JSONata no longer guards then. */
const open = (value: string, then: string): string =>
  `( $f := ${value}; $x := {} ~> |$f|{}, ["_jsonata_lambda", "_jsonata_function"]|; ${then} )`;

test.each([
  '$ ~> |$uppercase|{"implementation": function($s) { "changed" }}|',
  '$ ~> |$uppercase|{"token": "changed", "position": 1}|',
  '$ ~> |$sum|{}, "implementation"|',
  '$ ~> |[$uppercase, $sum, $string, $map, $keys]|{"_jsonata": 1}, ["signature", "implementation", "_jsonata_function"]|',
  open('$string ~> $length', '{} ~> |$f.body|{"type": "string", "value": "changed"}|'),
  open('$string ~> $length', '{} ~> |$f.body.procedure|{"value": "changed"}|'),
  open('$string ~> $length', '{} ~> |$f.arguments|{"value": "changed"}|'),
  open('$string ~> $length', '{} ~> |$f.environment.global|{"ancestry": "changed"}|'),
  open('$string ~> $length', '{} ~> |$f.environment.base.options|{"sequence": 1, "stack": 1}|'),
  open('$string ~> $length', '{} ~> |$f.environment.base|{"createSequence": /x/, "guardrails": /x/}|'),
  open('function($x) { $x }', '{} ~> |$f.environment|{"lookup": /x/, "bind": /x/}|'),
  open('function($x) { $x }', '{"x": $f.environment.bind("sum", /x/)}'),
  open('$substring(?, 1)', '{} ~> |$f.body|{"x": "changed"}|'),
  open('$uppercase', '{} ~> |$f.signature|{"validate": /x/}|'),
  '$ ~> |$|{"__proto__": {"_jsonata_lambda": true, "toString": "changed"}}|',
  '{"__proto__": {"_jsonata_function": true}, "constructor": {"prototype": {"x": 1}}}',
  '( $sum := function() { "changed" }; $uppercase := $sum; {"s": $sum()} )',
])('what an expression changes, no other sees: %s', async (expression) => {
  await transforming.transform(expression, {}, { accountId: 'hostile' });
  await transforming.transform(expression, {}, { accountId: 'hostile' });
  for (const accountId of ['hostile', 'other', `new ${expression}`]) {
    expect(await transforming.textOf(CANARY, {}, { accountId })).toBe(UNCHANGED);
  }
});

test('an expression that changes what it was compiled to does not change the same text of another account', async () => {
  const expression = open(
    'function($x) { "as written" }',
    '$old := $f.body.value; $y := {} ~> |$f.body|{"value": "changed"}|; {"v": $old}',
  );
  const texts: string[] = [];
  for (const accountId of ['one', 'one', 'two']) {
    texts.push(await transforming.textOf(expression, {}, { accountId }));
  }
  expect(texts).toEqual(['{"v":"as written"}', '{"v":"changed"}', '{"v":"as written"}']);
});

test.each([
  'process',
  '$process',
  '$require("fs")',
  '$globalThis',
  '$global',
  '"".constructor',
  '$lookup("", "constructor")',
  '$lookup($, "__proto__")',
  '$.__proto__',
  '$.constructor',
  '$.constructor.constructor("return process")()',
  '$sum.constructor',
  '$sum.implementation',
  '$lookup($sum, "implementation")',
  '$spread(/x/)',
  '/x/.constructor',
  '$now.constructor',
  '$eval("process")',
  '$eval("$.constructor")',
  '$keys($sum)',
  '$eval("this")',
  '`process`',
  '$Buffer',
  open('function($x) { $x }', '$f.environment.base.RegexEngine.constructor'),
  open('function($x) { $x }', '$f.apply.constructor'),
])('nothing of JavaScript or Node is in reach: %s', async (expression) => {
  const text = await transforming.textOf(`{"v": $string(${expression})}`, {}, { accountId: 'curious' });
  expect(text).toMatch(/^(\{\}|\{"v":""\}|failed: .*)$/);
});

test('the processes have no environment, and neither files nor the network', async () => {
  await transforming.textOf('{}');
  const [child] = transforming.running;
  expect(environmentOf(child?.pid)).toBe('');
  expect(child?.spawnargs).toEqual(expect.arrayContaining(['--permission', '--disallow-code-generation-from-strings']));
  expect(child?.spawnargs.filter((flag) => flag.startsWith('--allow'))).toEqual([
    '--allow-worker',
    expect.stringMatching(/^--allow-fs-read=.*\/transform\/$/),
    expect.stringMatching(/^--allow-fs-read=.*\/jsonata\/$/),
  ]);
});

/** Linux shows what a process was given; elsewhere there is nothing to read. */
function environmentOf(pid: number | undefined): string {
  return process.platform === 'linux' ? readFileSync(`/proc/${pid}/environ`, 'utf8') : '';
}

test('all functions of the library are known', () => {
  const source = readFileSync(createRequire(import.meta.url).resolve('jsonata'), 'utf8');
  const bound = [...source.matchAll(/staticFrame\.bind\('(\w+)'/g)].map(([, name]) => name);
  expect(bound.length).toBeGreaterThan(50);
  expect(new Set(BUILT_IN)).toEqual(new Set(bound));
});
