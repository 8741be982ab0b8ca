import type { Rate } from './rate.ts';

/** What is left in a bucket, and when that was. */
export interface Bucket {
  readonly tokens: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

export interface Taking {
  readonly isGranted: boolean;
  readonly bucket: Bucket;
  /** Whole tokens that are left. */
  readonly remaining: number;
  /** Milliseconds until the next whole token; 0 where there is one. */
  readonly retryMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

/**
 * Takes one token. A bucket begins full and refills at the rate, up to the burst; a clock that goes back
 * neither fills nor empties it.
 */
export function takeToken(previous: Bucket | undefined, { count, perMs }: Rate, burst: number, now: number): Taking {
  const msPerToken = perMs / count;
  const elapsed = previous === undefined ? 0 : Math.max(0, now - previous.at);
  const filled = previous === undefined ? burst : Math.min(burst, previous.tokens + elapsed / msPerToken);
  const isGranted = filled >= 1;
  const tokens = isGranted ? filled - 1 : filled;
  return {
    isGranted,
    bucket: { tokens, at: now },
    remaining: Math.floor(tokens),
    retryMs: Math.max(0, 1 - tokens) * msPerToken,
    fullMs: (burst - tokens) * msPerToken,
  };
}
