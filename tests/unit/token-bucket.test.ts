import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Bucket, takeTokens } from '../../src/core/token-bucket.ts';

const TEN_A_SECOND = { count: 10, perMs: 1_000 };

describe('takeTokens', () => {
  test('grants a burst, then at the rate, and says when', () => {
    let bucket: Bucket | undefined;
    const take = (now: number) => {
      const taking = takeTokens(bucket, { ...TEN_A_SECOND, burst: 3 }, now);
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
          const taking = takeTokens(bucket, { ...rate, burst }, now);
          ({ bucket } = taking);
          granted += taking.isGranted ? 1 : 0;
          expect(granted).toBeLessThanOrEqual(burst + ((now - 1_000_000) * rate.count) / rate.perMs);
          expect(takeTokens(bucket, { ...rate, burst }, now + taking.retryMs).isGranted).toBe(true);
          expect(
            taking.retryMs === 0 || !takeTokens(bucket, { ...rate, burst }, now + taking.retryMs - 1).isGranted,
          ).toBe(true);
        }
      }),
    );
  });

  test('grants many at once or none, and says when', () => {
    const rate = { ...TEN_A_SECOND, burst: 5 };
    const first = takeTokens(undefined, rate, 0, 4);
    expect(first).toMatchObject({ isGranted: true, remaining: 1, retryMs: 0, fullMs: 400 });
    const refused = takeTokens(first.bucket, rate, 0, 3);
    expect(refused).toMatchObject({ isGranted: false, remaining: 1, retryMs: 200, bucket: first.bucket });
    expect(takeTokens(refused.bucket, rate, 199, 3).isGranted).toBe(false);
    expect(takeTokens(refused.bucket, rate, 200, 3)).toMatchObject({ isGranted: true, remaining: 0, retryMs: 100 });
  });

  test('grants more than the burst when it is full, and then owes the rest', () => {
    const rate = { ...TEN_A_SECOND, burst: 5 };
    const one = takeTokens(undefined, rate, 0);
    expect(takeTokens(one.bucket, rate, 0, 100)).toMatchObject({ isGranted: false, remaining: 4, retryMs: 100 });
    const all = takeTokens(undefined, rate, 0, 100);
    expect(all).toMatchObject({ isGranted: true, remaining: 0, retryMs: 9_600, fullMs: 10_000 });
    expect(takeTokens(all.bucket, rate, 9_599).isGranted).toBe(false);
    expect(takeTokens(all.bucket, rate, 9_600).isGranted).toBe(true);
    expect(takeTokens(all.bucket, rate, 9_999, 100).isGranted).toBe(false);
    expect(takeTokens(all.bucket, rate, 10_000, 100).isGranted).toBe(true);
  });

  test('a clock that goes back neither fills nor stops it', () => {
    const { bucket } = takeTokens(undefined, { ...TEN_A_SECOND, burst: 1 }, 3_600_000);
    const back = takeTokens(bucket, { ...TEN_A_SECOND, burst: 1 }, 0);
    expect(back.isGranted).toBe(false);
    expect(takeTokens(back.bucket, { ...TEN_A_SECOND, burst: 1 }, 100).isGranted).toBe(true);
  });
});
