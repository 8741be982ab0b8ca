import { describe, expect, test } from '@jest/globals';
import { parseEventTypes } from '../../src/core/event-type.ts';
import { parseFilter } from '../../src/core/filter-input.ts';
import { LazyPayload, routeTo, routeToEach, type RoutingRules } from '../../src/core/routing.ts';

const PAYLOAD = '{"kind":"paid","amount":5}';

function rules({
  types,
  filter,
  enabled = true,
}: {
  types?: string[];
  filter?: unknown;
  enabled?: boolean;
}): RoutingRules {
  return {
    enabled,
    eventTypes: types === undefined ? null : parseEventTypes(types),
    filter: filter === undefined ? null : parseFilter(filter),
  };
}

/** Counts how often the text is asked for. */
function countedPayload(): { payload: LazyPayload; reads: () => number } {
  let count = 0;
  const payload = new LazyPayload(() => {
    count += 1;
    return PAYLOAD;
  });
  return { payload, reads: () => count };
}

describe('routing', () => {
  test('asks whether the destination is enabled, then for the type, then the filter', () => {
    const wanted = { types: ['order.*'], filter: { amount: { $gt: 5 } } };
    const { payload } = countedPayload();
    expect(routeTo(rules({ ...wanted, enabled: false }), { type: 'x', payload })).toEqual({ outcome: 'DISABLED' });
    expect(routeTo(rules(wanted), { type: 'x', payload })).toEqual({ outcome: 'TYPE_MISMATCH' });
    expect(routeTo(rules(wanted), { type: null, payload })).toEqual({ outcome: 'TYPE_MISMATCH' });
    expect(routeTo(rules(wanted), { type: 'order.paid', payload })).toEqual({ outcome: 'FILTERED', path: 'amount' });
    expect(routeTo(rules({ ...wanted, filter: { amount: 5 } }), { type: 'order.paid', payload })).toEqual({
      outcome: 'ROUTED',
    });
  });

  test('goes everywhere where nothing is asked', () => {
    const { payload } = countedPayload();
    expect(routeTo(rules({}), { type: null, payload })).toEqual({ outcome: 'ROUTED' });
    expect(routeTo(rules({}), { type: 'order.paid', payload })).toEqual({ outcome: 'ROUTED' });
    expect(routeTo(rules({}), { type: 'data-pusher.test', payload })).toEqual({ outcome: 'TYPE_MISMATCH' });
  });

  test('decides for each destination, and reads the payload once', () => {
    const { payload, reads } = countedPayload();
    const destinations = [
      rules({ filter: { kind: 'paid' } }),
      rules({ filter: { kind: 'open' } }),
      rules({ types: ['order.paid'] }),
      rules({ enabled: false }),
    ];
    expect(routeToEach(destinations, { type: null, payload })).toEqual([
      { outcome: 'ROUTED' },
      { outcome: 'FILTERED', path: 'kind' },
      { outcome: 'TYPE_MISMATCH' },
      { outcome: 'DISABLED' },
    ]);
    expect(reads()).toBe(1);
  });

  test('reads no payload that no filter asks for', () => {
    const { payload, reads } = countedPayload();
    const destinations = [
      rules({}),
      rules({ filter: {} }),
      rules({ filter: { $and: [{}, {}] } }),
      rules({ types: ['order.paid'], filter: { kind: 'paid' } }),
      rules({ enabled: false, filter: { kind: 'paid' } }),
    ];
    expect(routeToEach(destinations, { type: 'refund', payload }).map(({ outcome }) => outcome)).toEqual([
      'ROUTED',
      'ROUTED',
      'ROUTED',
      'TYPE_MISMATCH',
      'DISABLED',
    ]);
    expect(reads()).toBe(0);
  });
});
