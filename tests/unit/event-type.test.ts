import { describe, expect, test } from '@jest/globals';
import { parseDottedPath, valueAt } from '../../src/core/dotted-path.ts';
import { eventTypeIn, faultInEventType, parseEventTypes, takesType } from '../../src/core/event-type.ts';

describe('an event type', () => {
  test.each(['a', 'order.paid', 'A-Z_0.9', '.', '..', 'data-pusher', 'Data-Pusher.x', 'x'.repeat(128)])(
    '%s may be sent',
    (type) => {
      expect(faultInEventType(type)).toBeUndefined();
    },
  );

  test.each(['', ' ', 'a b', 'a\n', 'é', 'a/b', 'order.*', 'x'.repeat(129)])('%j may not', (type) => {
    expect(faultInEventType(type)).toMatch(/1 to 128 characters/);
  });

  test.each(['data-pusher.', 'data-pusher.destination.disabled'])('%s is reserved', (type) => {
    expect(faultInEventType(type)).toMatch(/reserved/);
  });
});

describe('the event types of a destination', () => {
  test.each<[entries: string[] | null, taken: (string | null)[], others: (string | null)[]]>([
    [null, [null, 'order.paid', 'data-pusher'], ['data-pusher.test', 'data-pusher.']],
    [['order.paid'], ['order.paid'], [null, 'order.paid.late', 'order', 'Order.Paid']],
    [
      ['order.*'],
      ['order.paid', 'order.line.added', 'order.'],
      [null, 'orders', 'order', 'orders.paid', 'xorder.paid'],
    ],
    [
      ['a', 'b.*', 'c'],
      ['a', 'b.x', 'c'],
      ['b', 'c.x', 'd'],
    ],
    [['data-pusher.*'], ['data-pusher.test'], ['data-pusher', 'order.paid', null]],
    [['data-pusher.test'], ['data-pusher.test'], ['data-pusher.other']],
    [['..*'], ['..x'], ['.x']],
  ])('%j', (entries, taken, others) => {
    const wanted = entries && parseEventTypes(entries);
    expect(taken.filter((type) => !takesType(wanted, type))).toEqual([]);
    expect(others.filter((type) => takesType(wanted, type))).toEqual([]);
  });

  test('are 1 to 50', () => {
    const types = Array.from({ length: 50 }, (_, number) => `type.${number}`);
    expect(takesType(parseEventTypes(types), 'type.49')).toBe(true);
    for (const refused of [[], [...types, 'one.more']]) {
      expect(() => parseEventTypes(refused)).toThrow(
        expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'eventTypes' }),
      );
    }
  });

  test.each(['', '*', '.*', 'a*', '*.a', 'a.*.b', 'a.**', 'a b', 'x'.repeat(129), `${'x'.repeat(129)}.*`])(
    'have no entry %j',
    (entry) => {
      expect(() => parseEventTypes(['order.paid', entry])).toThrow(
        expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'eventTypes' }),
      );
    },
  );
});

describe('a dotted path', () => {
  test.each<[path: string, payload: string, value: unknown]>([
    ['type', '{"type":"x"}', 'x'],
    ['data.kind', '{"data":{"kind":null}}', null],
    ['data.kind', '{"data.kind":"x"}', undefined],
    ['data.kind', '{"data":"kind"}', undefined],
    ['items.1.id', '{"items":[{"id":1},{"id":2}]}', 2],
    ['items.id', '{"items":[{"id":1}]}', undefined],
    ['items.2', '{"items":[1,2]}', undefined],
    ['items.01', '{"items":[1,2]}', undefined],
    ['items.-1', '{"items":[1,2]}', undefined],
    ['items.length', '{"items":[1,2]}', undefined],
    ['text.length', '{"text":"x"}', undefined],
    ['text.0', '{"text":"x"}', undefined],
    ['constructor.name', '{}', undefined],
    ['constructor', '{"constructor":"x"}', 'x'],
    ['$type', '{"$type":"x"}', 'x'],
    ['a b.ü', '{"a b":{"ü":1}}', 1],
  ])('%s in %s is %j', (path, payload, value) => {
    expect(valueAt(JSON.parse(payload), parseDottedPath(path, 'eventTypePath'))).toBe(value);
  });

  test.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '__proto__',
    'a.__proto__',
    'a\0',
    '\ud800',
    'a.b.c.d.e.f.g.h.i.j.k',
    'x'.repeat(201),
  ])('%j is refused', (path) => {
    expect(() => parseDottedPath(path, 'eventTypePath')).toThrow(
      expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'eventTypePath' }),
    );
  });

  test.each<[payload: string, type: string | null]>([
    ['{"data":{"kind":"order.paid"}}', 'order.paid'],
    ['{"data":{"kind":"data-pusher.test"}}', null],
    ['{"data":{"kind":"two words"}}', null],
    ['{"data":{"kind":""}}', null],
    ['{"data":{"kind":5}}', null],
    ['{"data":{"kind":["order.paid"]}}', null],
    ['{}', null],
  ])('leads from %s to the type %s', (payload, type) => {
    expect(eventTypeIn(JSON.parse(payload), parseDottedPath('data.kind', 'eventTypePath'))).toBe(type);
  });
});
