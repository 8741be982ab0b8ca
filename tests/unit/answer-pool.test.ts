import { beforeEach, describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import { AnswerPool } from '../../src/graphql/answer.ts';

const ONE = { accountId: 'one' };
const OTHERS = ['two', 'three'].map((accountId) => ({ accountId }));

describe('what answers hold together is bounded', () => {
  let pool: AnswerPool;

  beforeEach(() => {
    pool = new AnswerPool({ totalBytes: 100, accountsBytes: 60, accountBytes: 25 });
  });

  test('for an account, which takes nothing from another', () => {
    expect([pool.take(ONE, 20), pool.take(ONE, 6), pool.take(ONE, 5)]).toEqual([true, false, true]);
    expect(OTHERS.map((other) => pool.take(other, 15))).toEqual([true, true]);
  });

  test('for all accounts, which leave the rest to the administrator', () => {
    for (const account of [ONE, ...OTHERS]) {
      expect(pool.take(account, 20)).toBe(true);
    }
    expect(pool.take({ accountId: 'four' }, 1)).toBe(false);
    expect([pool.take(EVERYTHING, 40), pool.take(EVERYTHING, 1)]).toEqual([true, false]);
  });

  test('until it is given back', () => {
    expect(pool.take(ONE, 25)).toBe(true);
    pool.giveBack(ONE, 25);
    expect(pool.take(ONE, 25)).toBe(true);
  });
});
