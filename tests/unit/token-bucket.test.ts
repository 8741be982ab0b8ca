import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Bucket, takeToken } from '../../src/core/token-bucket.ts';

const TEN_A_SECOND = { count: 10, perMs: 1_000 };

describe('takeToken', () => {
  test('grants a burst, then at the rate, and says when', () => {
    let bucket: Bucket | undefined;
    const take = (now: number) => {
      const taking = takeToken(bucket, TEN_A_SECOND, 3, now);
      ({ bucket } = taking);
      return taking;
    };
    expect(take(0)).toMatchObject({ isGranted: true, remaining: 2, retryMs: 0, fullMs: 100 });
    expect(take(0)).toMatchObject({ isGranted: true, remaining: 1 });
    expect(take(0)).toMatchObject({ isGranted: true, remaining: 0, retryMs: 100, fullMs: 300 });
    expect(take(40)).toMatchObject({ isGranted: false, remaining: 0, retryMs: 60, fullMs: 260 });
    expect(take(100)).toMatchObject({ isGranted: true, remaining: 0 });
    expect(take(10_000)).toMatchObject({ isGranted: true, remaining: 2 });
  });

  test('over any time it grants at most the burst and what the rate gives, and not less', () => {
    const waits = fc.array(fc.nat(500), { minLength: 1, maxLength: 200 });
    const rates = fc.record({ count: fc.integer({ min: 1, max: 100 }), perMs: fc.constantFrom(1_000, 60_000) });
    fc.assert(
      fc.property(waits, rates, fc.integer({ min: 1, max: 20 }), (all, rate, burst) => {
        let bucket: Bucket | undefined;
        let now = 1_000_000;
        let granted = 0;
        for (const wait of all) {
          now += wait;
          const taking = takeToken(bucket, rate, burst, now);
          ({ bucket } = taking);
          granted += taking.isGranted ? 1 : 0;
          expect(granted).toBeLessThanOrEqual(burst + ((now - 1_000_000) * rate.count) / rate.perMs);
          expect(takeToken(bucket, rate, burst, now + taking.retryMs).isGranted).toBe(true);
          expect(taking.retryMs === 0 || !takeToken(bucket, rate, burst, now + taking.retryMs - 1).isGranted).toBe(
            true,
          );
        }
      }),
    );
  });

  test('a clock that goes back neither fills nor stops it', () => {
    const { bucket } = takeToken(undefined, TEN_A_SECOND, 1, 3_600_000);
    const back = takeToken(bucket, TEN_A_SECOND, 1, 0);
    expect(back.isGranted).toBe(false);
    expect(takeToken(back.bucket, TEN_A_SECOND, 1, 100).isGranted).toBe(true);
  });
});
