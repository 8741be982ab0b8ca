import { describe, expect, test } from '@jest/globals';
import { parseFilter } from '../../src/core/filter-input.ts';

function nested(depth: number, innermost: unknown = 1): unknown {
  let value = innermost;
  for (let level = 0; level < depth; level += 1) {
    value = { a: value };
  }
  return value;
}

function keys(count: number): string {
  return Array.from({ length: count }, () => 'a').join('.');
}

function combined(depth: number): unknown {
  return depth === 1 ? { a: 1 } : { $and: [combined(depth - 1)] };
}

/** The number of characters of its JSON. */
function ofLength(length: number): unknown {
  return { a: 'x'.repeat(length - '{"a":""}'.length) };
}

function refusal(path: string): unknown {
  return expect.objectContaining({
    code: 'BAD_USER_INPUT',
    field: 'filter',
    message: expect.stringContaining(path === '' ? 'The filter: ' : `The filter at ${path}: `),
  });
}

describe('a filter is refused', () => {
  test.each<[input: string, path: string]>([
    ['[]', ''],
    ['"a"', ''],
    ['null', ''],
    ['{"a":{"$regex":"x"}}', 'a.$regex'],
    ['{"a":{"b":{"$where":"x"}}}', 'a.b.$where'],
    ['{"$where":"x"}', '$where'],
    ['{"$comment":"x"}', '$comment'],
    ['{"a":{"$toString":1}}', 'a.$toString'],
    ['{"a":{"$":1}}', 'a.$'],
    ['{"$or":[{"a":1},{"a.b":{"$size":1}}]}', '$or.1.a.b.$size'],
    ['{"a":{"$not":{"$regex":"x"}}}', 'a.$not.$regex'],
    ['{"$eq":1}', '$eq'],
    ['{"$exists":true}', '$exists'],
    ['{"$not":{"a":1}}', '$not'],
    ['{"$or":[{"$gt":1}]}', '$or.0.$gt'],
    ['{"a":[1]}', 'a'],
    ['{"a":{"$eq":[1]}}', 'a.$eq'],
    ['{"a":{"$eq":{}}}', 'a.$eq'],
    ['{"a":{"$ne":{"b":1}}}', 'a.$ne'],
    ['{"a":{"$in":1}}', 'a.$in'],
    ['{"a":{"$in":[[1]]}}', 'a.$in'],
    ['{"a":{"$nin":[{}]}}', 'a.$nin'],
    ['{"a":{"$gt":true}}', 'a.$gt'],
    ['{"a":{"$gte":null}}', 'a.$gte'],
    ['{"a":{"$lt":[1]}}', 'a.$lt'],
    ['{"a":{"$lte":{}}}', 'a.$lte'],
    ['{"a":{"$exists":1}}', 'a.$exists'],
    ['{"a":{"$exists":"true"}}', 'a.$exists'],
    ['{"a":{"$startsWith":1}}', 'a.$startsWith'],
    ['{"a":{"$endsWith":null}}', 'a.$endsWith'],
    ['{"a":{"$contains":[1]}}', 'a.$contains'],
    ['{"a":{"$not":1}}', 'a.$not'],
    ['{"a":{"$not":[]}}', 'a.$not'],
    ['{"a":{"$not":{}}}', 'a.$not'],
    ['{"$and":{}}', '$and'],
    ['{"$or":[]}', '$or'],
    ['{"$nor":[1]}', '$nor.0'],
    ['{"a":{"$or":["x"]}}', 'a.$or.0'],
    ['{"__proto__":1}', '__proto__'],
    ['{"a":{"__proto__":{"b":1}}}', 'a.__proto__'],
    ['{"a.__proto__.b":1}', 'a.__proto__.b'],
    ['{"a":{"$gt":1,"__proto__":1}}', 'a.__proto__'],
    ['{"a..b":1}', 'a..b'],
    ['{".a":1}', '.a'],
    ['{"a.":1}', 'a.'],
    ['{"items.$.sku":1}', 'items.$.sku'],
    ['{"a\\u0000":1}', 'a\0'],
    ['{"a":"\\u0000"}', 'a'],
    ['{"a":"\\ud800"}', 'a'],
    ['{"a":9007199254740992}', 'a'],
    ['{"a":-9007199254740993}', 'a'],
    ['{"a":1e300}', 'a'],
    ['{"a":{"$lt":1e400}}', 'a.$lt'],
    ['{"a":{"b":{"$in":[1,9007199254740993]}}}', 'a.b.$in'],
    ['{"a":{"$contains":1e16}}', 'a.$contains'],
  ])('%s, naming %s', (input, path) => {
    expect(() => parseFilter(JSON.parse(input))).toThrow(refusal(path));
  });

  test('where it is more than 10 objects deep', () => {
    for (const accepted of [
      nested(10),
      nested(9, { $gt: 1 }),
      { [keys(10)]: 1 },
      { [keys(9)]: { $gt: 1 } },
      combined(10),
    ]) {
      expect(parseFilter(accepted)).toBeDefined();
    }
    expect(() => parseFilter(nested(11))).toThrow(refusal(keys(10)));
    expect(() => parseFilter(nested(10, { $gt: 1 }))).toThrow(refusal(keys(10)));
    expect(() => parseFilter({ [keys(11)]: 1 })).toThrow(refusal(keys(11)));
    expect(() => parseFilter({ [keys(10)]: { $gt: 1 } })).toThrow(refusal(keys(10)));
    expect(() => parseFilter(combined(11))).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT' }));
    expect(() => parseFilter(nested(100_000))).toThrow(refusal(keys(10)));
  });

  test('where it has more than 8 KiB of JSON', () => {
    expect(parseFilter(ofLength(8_192))).toBeDefined();
    expect(() => parseFilter(ofLength(8_193))).toThrow(refusal(''));
    expect(() => parseFilter({ a: 'é'.repeat(4_093) })).toThrow(refusal(''));
    expect(() => parseFilter({ a: { $in: Array.from({ length: 200_000 }, () => 'x') } })).toThrow(refusal(''));
  });

  test('with what GraphQL leaves open', () => {
    expect(() => parseFilter({ a: undefined })).toThrow(refusal('a'));
    expect(() => parseFilter({ a: { $eq: undefined } })).toThrow(refusal('a.$eq'));
    expect(() => parseFilter({ a: { $in: [undefined] } })).toThrow(refusal('a.$in'));
  });

  test('and the place is named in at most 200 characters', () => {
    const key = 'k'.repeat(1_000);
    expect(() => parseFilter({ [key]: { [key]: { $no: 1 } } })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^The filter at k{199}…: there is no such operator/) }),
    );
  });
});

test('a filter may come without prototypes, as GraphQL makes it', () => {
  const bare = Object.assign(Object.create(null), { a: Object.assign(Object.create(null), { $gt: 1 }) }) as unknown;
  expect(parseFilter(bare)).toMatchObject({ kind: 'condition', path: 'a' });
});
