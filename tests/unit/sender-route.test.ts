import { describe, expect, test } from '@jest/globals';
import { route } from '../../src/dispatch/sender-pool.ts';

const urls = Array.from({ length: 100 }, (_, number) => `https://destination-${number}.example.com/hook`);

describe('route', () => {
  test('keeps all URLs of one server to one sender while the loads are alike', () => {
    const loads = [3, 5, 4];
    const home = route('https://example.com:8443/a?b=c', loads);
    expect(route('https://example.com:8443/other', loads)).toBe(home);
    expect(route('https://example.com:8443', [5, 4, 3])).toBe(home);
  });

  test('spreads the servers over all senders', () => {
    const used = Map.groupBy(urls, (url) => route(url, [0, 0, 0, 0]));
    expect([...used.values()].every((own) => own.length >= 15)).toBe(true);
    expect(used.size).toBe(4);
  });

  test('spreads the requests to one server once its own sender has far more to do than another', () => {
    const loads = [0, 0];
    for (let count = 0; count < 32; count += 1) {
      const chosen = route('https://example.com/', loads);
      loads[chosen] = (loads[chosen] ?? 0) + 1;
    }
    expect(Math.abs((loads[0] ?? 0) - (loads[1] ?? 0))).toBeLessThanOrEqual(5);
  });

  test('passes over a sender that cannot take anything', () => {
    expect(new Set(urls.map((url) => route(url, [Number.POSITIVE_INFINITY, 200])))).toEqual(new Set([1]));
  });
});
