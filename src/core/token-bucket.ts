/** What is left in a bucket, and when that was. */
export interface Bucket {
  /**
   * A token is as many drops as the rate's time has milliseconds, so that each millisecond brings a whole number of
   * them: fractions of tokens would not add up.
   */
  readonly drops: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

export interface Taking {
  readonly isGranted: boolean;
  readonly bucket: Bucket;
  /** Whole tokens that are left. */
  readonly remaining: number;
  /** Milliseconds until there is a token; 0 where there is one. */
  readonly retryMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

/**
 * Takes one token. A bucket begins full and refills at the rate, up to the burst; a clock that goes back
 * neither fills nor empties it.
 */
export function takeToken(previous: Bucket | undefined, { count, perMs }: Rate, burst: number, now: number): Taking {
  const token = perMs;
  const full = burst * token;
  const filled =
    previous === undefined ? full : Math.min(full, previous.drops + Math.max(0, now - previous.at) * count);
  const isGranted = filled >= token;
  const drops = isGranted ? filled - token : filled;
  return {
    isGranted,
    bucket: { drops, at: now },
    remaining: Math.floor(drops / token),
    retryMs: Math.ceil(Math.max(0, token - drops) / count),
    fullMs: Math.ceil((full - drops) / count),
  };
}

/** So many in a time. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}
