import { describe, expect, test } from '@jest/globals';
import { assert, jsonValue, property } from 'fast-check';
import { AccountRoutes, type StoredDestination, type StoredRoutes } from '../../src/core/account-routes.ts';
import { orderKeyIn, parseOrder } from '../../src/core/order-key.ts';

const KEY = /^[A-Za-z0-9_-]{22}$/u;

function keyAt(path: string, payload: unknown): string | null {
  const order = parseOrder(path);
  if (order.kind === 'everything') {
    throw new Error('The order is by everything.');
  }
  return orderKeyIn(payload, order);
}

/** The same value, written the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(turned);
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(
        Object.entries(value)
          .toReversed()
          .map(([name, member]) => [name, turned(member)]),
      )
    : value;
}

describe('an order key', () => {
  test('is equal for equal values and different for others, as JSON compares them', () => {
    assert(
      property(jsonValue(), jsonValue(), (one, other) => {
        // As they come from a payload: without -0.
        const [first, second] = [one, other].map((value) => JSON.parse(JSON.stringify(value)) as unknown);
        expect(keyAt('v', { v: first })).toMatch(KEY);
        expect(keyAt('v', { v: turned(first) })).toBe(keyAt('v', { v: first }));
        expect(keyAt('v', { v: second }) === keyAt('v', { v: first })).toBe(isEqual(first, second));
      }),
    );
  });

  test.each([
    ['1', '1.0'],
    ['0', '-0'],
    ['100', '1e2'],
    ['"a"', '"\\u0061"'],
    ['9007199254740993', '9007199254740992'],
    ['1e400', '1e500'],
  ])('of %s is that of %s', (one, other) => {
    expect(keyAt('v', JSON.parse(`{"v":${one}}`))).toBe(keyAt('v', JSON.parse(`{"v":${other}}`)));
  });

  test.each([
    ['1', '"1"'],
    ['null', '"null"'],
    ['null', '1e400'],
    ['[]', '{}'],
    ['[1,2]', '[2,1]'],
    ['{"a":"b"}', '{"a":{"b":null}}'],
    ['["a,b"]', '["a","b"]'],
  ])('of %s is not that of %s', (one, other) => {
    expect(keyAt('v', JSON.parse(`{"v":${one}}`))).not.toBe(keyAt('v', JSON.parse(`{"v":${other}}`)));
  });

  test('is missing where the path leads to nothing, and there for an explicit null', () => {
    expect(keyAt('a.b', { a: {} })).toBeNull();
    expect(keyAt('a.b', { a: null })).toBeNull();
    expect(keyAt('a.length', { a: [1] })).toBeNull();
    expect(keyAt('constructor', {})).toBeNull();
    expect(keyAt('a.b', { a: { b: null } })).toMatch(KEY);
    expect(keyAt('a.1', { a: [1, 2] })).toBe(keyAt('a.1', { a: [0, 2] }));
  });

  test('of one path is not that of another', () => {
    expect(keyAt('a', { a: 1, b: 1 })).not.toBe(keyAt('b', { a: 1, b: 1 }));
  });

  test('of a value as deep and large as payloads may be is made', () => {
    const deep = JSON.parse(`${'['.repeat(999)}${']'.repeat(999)}`) as unknown;
    expect(keyAt('v', { v: deep })).toMatch(KEY);
  });
});

function isEqual(one: unknown, other: unknown): boolean {
  try {
    expect(one).toEqual(other);
    return true;
  } catch {
    return false;
  }
}

function fanOutOf(destinations: readonly StoredDestination[], payload: string) {
  const stored: StoredRoutes = { tokenHash: 'T', accountId: 'A', version: 1, eventTypePath: null, destinations };
  return new AccountRoutes(stored).route({ type: null, payload: Buffer.from(payload) }).fanOut;
}

describe('the fan-out of an event', () => {
  test('has a key for each destination that gets the event and has an order', () => {
    const { destinationIds, orderKeys } = fanOutOf(
      [
        ['plain', true, null, null, null],
        ['by id', true, null, null, 'id'],
        ['filtered', true, null, '{"id":0}', 'id'],
        ['disabled', false, null, null, '*'],
        ['all', true, null, null, '*'],
        ['by another', true, null, null, 'other'],
      ],
      '{"id":7}',
    );
    expect(destinationIds).toEqual(['plain', 'by id', 'all', 'by another']);
    expect(orderKeys).toEqual([null, keyAt('id', { id: 7 }), expect.stringMatching(KEY), null]);
  });

  test('has no keys where the payload has none of the paths', () => {
    expect(fanOutOf([['by id', true, null, null, 'id']], '{"no":1}').orderKeys).toBeNull();
  });

  test('is one for all events where the order is by everything, and payloads are not parsed', () => {
    const stored: StoredRoutes = {
      tokenHash: 'T',
      accountId: 'A',
      version: 1,
      eventTypePath: null,
      destinations: [['all', true, null, null, '*']],
    };
    const routes = new AccountRoutes(stored);
    const [one, other] = ['this is never parsed', 'nor this'].map(
      (text) => routes.route({ type: null, payload: Buffer.from(text) }).fanOut,
    );
    expect(one?.orderKeys).toHaveLength(1);
    expect(other).toBe(one);
  });
});
