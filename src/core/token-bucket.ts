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
  /** Milliseconds until the next token; 0 when there is one. */
  readonly retryMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

/**
 * Takes one token. A bucket starts full and refills at the rate, up to the burst. A clock that is set back neither fills
 * nor empties it. Packages such as limiter read the system clock themselves; here the clock is injected.
 */
export function takeToken(
  previous: Bucket | undefined,
  { count, perMs }: Rate,
  burst: number,
  now: number,
): TakeResult {
  const token = perMs;
  const full = burst * token;
  const filled =
    previous === undefined ? full : Math.min(full, previous.units + Math.max(0, now - previous.at) * count);
  const isGranted = filled >= token;
  const units = isGranted ? filled - token : filled;
  return {
    isGranted,
    bucket: { units, at: now },
    remaining: Math.floor(units / token),
    retryMs: Math.ceil(Math.max(0, token - units) / count),
    fullMs: Math.ceil((full - units) / count),
  };
}
