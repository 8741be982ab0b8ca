/** How waits are made, on a clock that never jumps; tests put their own in its place. */
export interface Timer {
  /** Milliseconds since some moment. */
  now(): number;
  /** @returns a function that calls it off. */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimer: Timer = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timeout = setTimeout(callback, ms);
    return () => clearTimeout(timeout);
  },
};

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
