/** Measures and waits on a monotonic clock. Tests replace it. */
export interface Timer {
  /** Milliseconds since an arbitrary moment. */
  now(): number;
  /** @returns a function that cancels the callback */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimer: Timer = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timeout = setTimeout(callback, ms);
    return () => clearTimeout(timeout);
  },
};

/** Reads the wall clock. Tests replace it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

const STARTED_AT = Date.now() - performance.now();

/**
 * The wall clock at the start of the process, continued by the monotonic clock. So setting the system's clock neither
 * ends a lease nor extends a wait.
 */
export const steadyClock: Clock = { now: () => Math.round(STARTED_AT + performance.now()) };
