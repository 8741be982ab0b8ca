/** Where "now" comes from; tests put their own in its place. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

const STARTED_AT = Date.now() - performance.now();

/**
 * The wall clock as it was at the start, carried on by the monotonic one: nobody who sets the clock makes a
 * lease end or a wait last longer.
 */
export const steadyClock: Clock = { now: () => Math.round(STARTED_AT + performance.now()) };
