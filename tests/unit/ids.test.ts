import { describe, expect, test } from '@jest/globals';
import { createIdSource, isId } from '../../src/core/ids.ts';

const NOW = Date.UTC(2026, 0, 1);

describe('ids', () => {
  test('are UUIDv7 that carry the time and leave room for the ordinals of deliveries', () => {
    const id = createIdSource({ now: () => NOW })();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{9}000$/);
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(NOW);
    expect(isId(id)).toBe(true);
  });

  test('are unique and in order while the clock stands still, and when it goes back', () => {
    let now = NOW;
    const newId = createIdSource({ now: () => now });
    const before = Array.from({ length: 10_000 }, newId);
    now -= 60_000;
    const ids = [...before, ...Array.from({ length: 10_000 }, newId)];
    expect(new Set(ids).size).toBe(20_000);
    expect(ids.toSorted()).toEqual(ids);
  });

  test.each(['', 'x', '00000000-0000-0000-0000-00000000000', "1' or '1'='1", '01A20000-0000-7000-8000-000000000000'])(
    'text that no id can be is known as such: %j',
    (text) => {
      expect(isId(text)).toBe(false);
    },
  );
});
