import { describe, expect, test } from '@jest/globals';
import { topLevelMembers } from '../../src/core/json-object.ts';

describe('topLevelMembers', () => {
  test.each<[string, [string, string][]]>([
    ['{}', []],
    [' {\n} ', []],
    ['{"a":1}', [['a', '1']]],
    [
      '{"a" : 1.0 , "b":1e400}',
      [
        ['a', '1.0'],
        ['b', '1e400'],
      ],
    ],
    ['{"n":12345678901234567890}', [['n', '12345678901234567890']]],
    [
      '{"a":1,"a":2}',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    ['{"a":"x,}\\"]"}', [['a', '"x,}\\"]"']]],
    [
      '{"\\u0061\\"":true,"n":null,"f":false}',
      [
        ['a"', 'true'],
        ['n', 'null'],
        ['f', 'false'],
      ],
    ],
    [
      '{"o":{"x":[1,{"y":"}"}]},"l":[ 1, 2 ] }',
      [
        ['o', '{"x":[1,{"y":"}"}]}'],
        ['l', '[ 1, 2 ]'],
      ],
    ],
    [
      '{"__proto__":{"a":1},"":"\\\\"}',
      [
        ['__proto__', '{"a":1}'],
        ['', '"\\\\"'],
      ],
    ],
    ['{":":":"}', [[':', '":"']]],
  ])('%s', (text, members) => {
    expect([...topLevelMembers(text)]).toEqual(members);
  });
});
