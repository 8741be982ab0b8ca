/** How many in how much time. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** The content of a bucket at a time. */
export interface Bucket {
  /** A token is `perMs` units, so each millisecond adds a whole number of them. Fractions of tokens would not add up. */
  readonly units: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

interface TakeResult {
  readonly isGranted: boolean;
  readonly bucket: Bucket;
  /** The number of whole tokens that are left. */
  readonly remaining: number;
  /** Milliseconds until what was refused can be granted, or after a grant until the next token; 0 when there is one. */
  readonly retryMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

/**
 * Takes tokens. A bucket starts full and refills at the rate, up to the burst. A clock that is set back neither fills
 * nor empties it. Packages such as limiter read the system clock themselves; here the clock is injected.
 *
 * @param tokens more than the burst are granted by a full bucket, which then owes the rest
 */
export function takeTokens(
  previous: Bucket | undefined,
  { count, perMs, burst }: Rate & { readonly burst: number },
  now: number,
  tokens = 1,
): TakeResult {
  const token = perMs;
  const full = burst * token;
  const filled =
    previous === undefined ? full : Math.min(full, previous.units + Math.max(0, now - previous.at) * count);
  const needed = Math.min(tokens * token, full);
  const isGranted = filled >= needed;
  const units = isGranted ? filled - tokens * token : filled;
  return {
    isGranted,
    bucket: { units, at: now },
    remaining: Math.max(0, Math.floor(units / token)),
    retryMs: Math.ceil(Math.max(0, (isGranted ? token : needed) - units) / count),
    fullMs: Math.ceil((full - units) / count),
  };
}
