import { describe, expect, test } from '@jest/globals';
import { evaluate } from '../../src/core/filter.ts';
import { parseFilter } from '../../src/core/filter-input.ts';

/** The payload is a text, because numbers may be lost when it is parsed. */
function result(filter: string, payload: string): unknown {
  return evaluate(parseFilter(JSON.parse(filter)), JSON.parse(payload));
}

function list(length: number): string {
  return JSON.stringify({ items: Array.from({ length }, (_, n) => ({ n })) });
}

/** [filter, payloads that match, payloads that do not] */
type Row = [filter: string, matching: string[], others: string[]];

const FIELDS: Row[] = [
  ['{}', ['{}', '{"a":1}'], []],
  [
    '{"data":{"kind":"x"}}',
    ['{"data":{"kind":"x","more":1},"more":2}'],
    ['{"data":{"kind":"y"}}', '{"data":"x"}', '{}'],
  ],
  ['{"data.kind":"x"}', ['{"data":{"kind":"x","more":1}}'], ['{"data.kind":"x"}', '{"data":null}']],
  ['{"data":{"a.b":1}}', ['{"data":{"a.b":1}}'], ['{"data":{"a":{"b":1}}}']],
  ['{"data":{"$or":[{"a.b":1}]}}', ['{"data":{"a":{"b":1}}}'], ['{"data":{"a.b":1}}']],
  ['{"data":{"$not":{"a.b":1}}}', ['{"data":{"a":{"b":1}}}'], ['{"data":{"a.b":1}}']],
  ['{"data":{}}', ['{}', '{"data":1}'], []],
  ['{"":1}', ['{"":1}'], ['{}']],
  ['{"a":1,"b":2}', ['{"a":1,"b":2}'], ['{"a":1}', '{"b":2}']],
];

const ARRAYS: Row[] = [
  [
    '{"items.0.sku":"x"}',
    ['{"items":[{"sku":"x"}]}', '{"items":{"0":{"sku":"x"}}}'],
    ['{"items":[{},{"sku":"x"}]}', '{"items":[{"0":{"sku":"x"}}]}'],
  ],
  ['{"items.01":1}', ['{"items":[{"01":1}]}'], ['{"items":[0,1]}']],
  [
    '{"items.sku":"x"}',
    ['{"items":[{},{"sku":"x"}]}', '{"items":{"sku":"x"}}', '{"items":[{"sku":["x"]}]}'],
    ['{"items":["x"]}', '{"items":[[{"sku":"x"}]]}', '{"items":[]}'],
  ],
  ['{"items":{"sku":"x"}}', ['{"items":[{},{"sku":"x"}]}'], ['{"items":[]}']],
  ['{"items":{"sku":"x","n":1}}', ['{"items":[{"sku":"x"},{"n":1}]}'], ['{"items":[{"sku":"x"}]}']],
  [
    '{"items.sku":{"$ne":"x"}}',
    ['{"items":[{"sku":"y"},{}]}', '{"items":[]}', '{}'],
    ['{"items":[{"sku":"y"},{"sku":"x"}]}'],
  ],
  ['{"items.sku":{"$exists":true}}', ['{"items":[{},{"sku":null}]}'], ['{"items":[{}]}', '{"items":[]}']],
  ['{"items.sku":{"$exists":false}}', ['{"items":[{}]}', '{"items":[]}'], ['{"items":[{},{"sku":null}]}']],
  ['{"tags":"x"}', ['{"tags":["y","x"]}'], ['{"tags":[["x"]]}', '{"tags":[]}']],
  ['{"tags":{"$gt":1,"$lt":3}}', ['{"tags":[0,5]}'], ['{"tags":[5]}']],
  ['{"tags.1":"x"}', ['{"tags":["y","x"]}', '{"tags":["y",["x"]]}'], ['{"tags":["x"]}']],
];

const VALUES: Row[] = [
  [
    '{"n":1}',
    ['{"n":1}', '{"n":1.0}', '{"n":1e0}'],
    ['{"n":"1"}', '{"n":true}', '{"n":1.5}', '{"n":{}}', '{"n":null}'],
  ],
  ['{"n":0}', ['{"n":-0}', '{"n":0.0}'], ['{"n":false}', '{"n":""}', '{"n":null}']],
  ['{"n":0.1}', ['{"n":0.10}', '{"n":1e-1}'], ['{"n":0.2}']],
  ['{"n":9007199254740991}', ['{"n":9007199254740991}'], ['{"n":9007199254740992}', '{"n":9007199254740990}']],
  ['{"n":null}', ['{"n":null}', '{"n":[null]}'], ['{}', '{"n":0}', '{"n":[]}']],
  ['{"n":true}', ['{"n":true}'], ['{"n":"true"}', '{"n":1}']],
  ['{"n":"é"}', ['{"n":"\\u00e9"}'], ['{"n":"e\\u0301"}']],
];

const OPERATORS: Row[] = [
  ['{"n":{"$eq":1}}', ['{"n":1}', '{"n":[1]}'], ['{}', '{"n":2}']],
  ['{"n":{"$ne":1}}', ['{}', '{"n":2}', '{"n":"1"}', '{"n":9007199254740993}'], ['{"n":1}', '{"n":[2,1]}']],
  [
    '{"n":{"$in":[1,"a",null]}}',
    ['{"n":1}', '{"n":"a"}', '{"n":null}', '{"n":[5,1]}'],
    ['{}', '{"n":"1"}', '{"n":"aa"}'],
  ],
  ['{"n":{"$in":[]}}', [], ['{}', '{"n":1}', '{"n":[]}']],
  ['{"n":{"$nin":[1,"a"]}}', ['{}', '{"n":2}', '{"n":[]}'], ['{"n":1}', '{"n":[2,"a"]}']],
  [
    '{"n":{"$gt":2}}',
    ['{"n":2.5}', '{"n":9007199254740993}', '{"n":1e400}'],
    ['{"n":2}', '{"n":"3"}', '{"n":null}', '{}', '{"n":true}'],
  ],
  ['{"n":{"$gte":2}}', ['{"n":2}', '{"n":3}'], ['{"n":1.9}', '{"n":-1e400}']],
  ['{"n":{"$lt":2}}', ['{"n":1}', '{"n":-9007199254740993}'], ['{"n":2}', '{"n":"1"}', '{"n":null}', '{}']],
  ['{"n":{"$lte":2}}', ['{"n":2}', '{"n":1}'], ['{"n":3}']],
  [
    '{"n":{"$gte":"2025-03-01","$lt":"2025-04-01"}}',
    ['{"n":"2025-03-01T10:00:00Z"}'],
    ['{"n":"2025-04-01"}', '{"n":2025}'],
  ],
  ['{"n":{"$gt":"a"}}', ['{"n":"aa"}', '{"n":"b"}'], ['{"n":"a"}', '{"n":"B"}', '{"n":""}']],
  ['{"n":{"$gt":"\\uff5e"}}', ['{"n":"\\ud83d\\ude00"}'], ['{"n":"\\uff5d"}', '{"n":"\\ud83d"}']],
  [
    '{"n":{"$lt":"\\ud83d\\ude00"}}',
    ['{"n":"\\uff5e"}', '{"n":"\\ud83dz"}', '{"n":"\\ud83d"}'],
    ['{"n":"\\ud83d\\ude00"}', '{"n":"\\ud83d\\ude01"}'],
  ],
  ['{"n":{"$exists":true}}', ['{"n":null}', '{"n":[]}', '{"n":0}'], ['{}']],
  ['{"n":{"$exists":false}}', ['{}', '{"m":1}'], ['{"n":null}', '{"n":[]}']],
  ['{"n":{"$startsWith":"ab"}}', ['{"n":"abc"}', '{"n":["x","ab"]}'], ['{"n":"xab"}', '{"n":"a"}', '{"n":1}', '{}']],
  ['{"n":{"$endsWith":"ab"}}', ['{"n":"xab"}'], ['{"n":"abc"}', '{"n":"b"}']],
  [
    '{"n":{"$contains":"ab"}}',
    ['{"n":"xaby"}', '{"n":["ab"]}', '{"n":["xaby"]}', '{"n":[["ab"]]}'],
    ['{"n":"ba"}', '{"n":{"ab":1}}', '{"n":[["xaby"]]}'],
  ],
  ['{"n":{"$contains":5}}', ['{"n":[4,5]}'], ['{"n":5}', '{"n":"5"}', '{"n":["5"]}']],
  ['{"n":{"$startsWith":""}}', ['{"n":""}', '{"n":"a"}'], ['{}', '{"n":1}']],
];

const COMBINATIONS: Row[] = [
  ['{"n":{"$not":{"$gt":2}}}', ['{"n":2}', '{}', '{"n":"x"}', '{"n":[1]}'], ['{"n":3}', '{"n":[1,3]}']],
  ['{"n":{"$not":{"$gt":2,"$lt":4}}}', ['{"n":2}', '{"n":4}'], ['{"n":3}']],
  ['{"n":{"$not":{"$not":{"$gt":2}}}}', ['{"n":3}'], ['{"n":2}']],
  ['{"n":{"$not":{"a":1}}}', ['{"n":{"a":2}}', '{}'], ['{"n":{"a":1}}']],
  ['{"n":{"$or":[{"$lt":1},{"$gt":5}]}}', ['{"n":0}', '{"n":6}'], ['{"n":3}', '{}']],
  ['{"$and":[{"a":1},{"b":2}]}', ['{"a":1,"b":2}'], ['{"a":1}']],
  ['{"$or":[{"a":1},{"b.c":2}],"d":3}', ['{"a":1,"d":3}', '{"b":{"c":2},"d":3}'], ['{"a":1}', '{"d":3}']],
  ['{"$nor":[{"a":1},{"b":2}]}', ['{}', '{"a":2}'], ['{"a":1}', '{"b":2}']],
  ['{"a":{"$nor":[{"b":1}],"c":2}}', ['{"a":{"c":2}}'], ['{"a":{"b":1,"c":2}}', '{}']],
  [
    '{"$or":[{"$and":[{"a":1},{"b":1}]},{"$nor":[{"c":{"$exists":true}}]}]}',
    ['{"a":1,"b":1,"c":1}', '{}'],
    ['{"a":1,"c":1}'],
  ],
];

describe('a filter', () => {
  test.each([...FIELDS, ...ARRAYS, ...VALUES, ...OPERATORS, ...COMBINATIONS])('%s', (filter, matching, others) => {
    expect(matching.filter((payload) => !(result(filter, payload) as { matches: boolean }).matches)).toEqual([]);
    expect(others.filter((payload) => (result(filter, payload) as { matches: boolean }).matches)).toEqual([]);
  });

  test.each([
    ['{"data.kind":"x"}', '{}', 'data.kind'],
    ['{"data":{"kind":"x"}}', '{"data":1}', 'data.kind'],
    ['{"a":1,"b":{"c":{"$gt":2}}}', '{"a":1,"b":{"c":1}}', 'b.c'],
    ['{"items.0.sku":"x"}', '{}', 'items.0.sku'],
    ['{"$and":[{"a":1},{"b":2}]}', '{"a":1}', 'b'],
    ['{"$or":[{"a":1},{"b":2}]}', '{}', '$or'],
    ['{"a":{"$nor":[{"b":1}]}}', '{"a":{"b":1}}', 'a.$nor'],
    ['{"a":{"$not":{"$gt":1}}}', '{"a":2}', 'a'],
  ])('%s says of %s that %s failed', (filter, payload, path) => {
    expect(result(filter, payload)).toEqual({ matches: false, path });
  });

  test('says where in at most 200 characters', () => {
    const key = '\u{1f600}'.repeat(150);
    const { path } = result(JSON.stringify({ [key]: 1 }), '{}') as { path: string };
    expect(path.length).toBeLessThanOrEqual(200);
    expect(path.isWellFormed()).toBe(true);
    expect(path).toMatch(/^(?:\u{1f600})+.?…$/u);
  });

  const inherited = [Object, Array, String, Number, Boolean].flatMap((type) =>
    Object.getOwnPropertyNames(type.prototype as object),
  );

  test.each(inherited.filter((name) => name !== '__proto__'))('sees no %s that nobody sent', (name) => {
    for (const value of ['{}', '[]', '[{}]', '"text"', '1', 'true', 'null']) {
      expect(result(`{"a":{"${name}":{"$exists":true}}}`, `{"a":${value}}`)).toMatchObject({ matches: false });
      expect(result(`{"a":{"${name}":{"$exists":false}}}`, `{"a":${value}}`)).toEqual({ matches: true });
    }
    expect(result(`{"a":{"${name}":1}}`, `{"a":{"${name}":1}}`)).toEqual({ matches: true });
  });
});

describe('the work of a filter', () => {
  test.each([
    ['{"items.n":80000}', 80_001, { matches: true }],
    ['{"items.n":{"$ne":80000}}', 80_001, { matches: false, path: 'items.n' }],
    // Where the work runs out, nothing is true: not a condition, not its negation, and nothing that comes after it.
    ['{"items.n":300000}', 300_001, { matches: false, path: 'items.n' }],
    ['{"items.n":{"$ne":-1}}', 300_000, { matches: false, path: 'items.n' }],
    ['{"items.n":{"$not":{"$lt":0}}}', 300_000, { matches: false, path: 'items.n' }],
    ['{"$nor":[{"items.n":-1}]}', 300_000, { matches: false, path: 'items.n' }],
    ['{"$or":[{"items.n":-1},{"more":{"$exists":false}}]}', 300_000, { matches: false, path: 'items.n' }],
    ['{"items":{"$contains":1}}', 300_000, { matches: false, path: 'items' }],
  ])('%s on %d elements', (filter, length, expected) => {
    expect(result(filter, list(length))).toEqual(expected);
  });

  test('is enough for the longest string that an event has by default', () => {
    const text = `${'x'.repeat(1_048_576)}end`;
    const filter = '{"a":{"$contains":"end"},"b":{"$not":{"$contains":"end"}}}';
    expect(result(filter, JSON.stringify({ a: text, b: text }))).toEqual({ matches: false, path: 'b' });
    expect(result(filter, JSON.stringify({ a: text, b: 'x'.repeat(1_048_576) }))).toEqual({ matches: true });
  });

  test('ends in strings that are longer', () => {
    const text = 'x'.repeat(4_100_000);
    expect(result('{"a":{"$not":{"$contains":"end"}}}', JSON.stringify({ a: text }))).toEqual({
      matches: false,
      path: 'a',
    });
  });

  test('is little in a payload that is nested as deep as any can be', () => {
    const deep = `${'{"a":['.repeat(500)}1${']}'.repeat(500)}`;
    expect(result('{"a.a.a.a.a.a.a.a.a":{"$exists":true}}', deep)).toEqual({ matches: true });
  });
});
