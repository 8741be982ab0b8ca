/**
 * Runs in a thread of its own in a process that transforms, and ends that process when an expression is over its
 * bounds. Nothing else ends a regular expression or a loop of the engine for certain: the other thread looks at nothing
 * meanwhile. Nor does it depend on the server: an endless expression ends even when the server was killed.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { processMs } from './meter.ts';
import { CPU_MS_MAX, type Verdict } from './protocol.ts';

/** Shared by both threads. */
export interface Watched {
  /** [0] is the number of the expression that runs, or 0. */
  readonly running: Int32Array<SharedArrayBuffer>;
  /** [0] is the processor time of the process when it began. */
  readonly startedAtCpuMs: Float64Array<SharedArrayBuffer>;
}

/** The pipe that carries the verdict. */
const VERDICT_FD = 3;
const TICK_MS = 5;
/** Most expressions notice by themselves that they are over their time, which costs no process. */
const GRACE_MS = 50;
/** After so many without work the thread sleeps until there is some. */
const IDLE_TICKS_MAX = 40;
/** Bounds what the engine's limit of the heap does not: buffers, and stacks of regular expressions. */
const RSS_BYTES_MAX = 256 * 1_048_576;

const { running, startedAtCpuMs } = workerData as Watched;
const never = new Int32Array(new SharedArrayBuffer(4));

parentPort?.postMessage('watching');
let idleTicks = 0;
for (;;) {
  if (Atomics.load(running, 0) === 0) {
    idleTicks += 1;
    if (idleTicks > IDLE_TICKS_MAX) {
      Atomics.wait(running, 0, 0);
    }
  } else {
    idleTicks = 0;
    judge();
  }
  Atomics.wait(never, 0, 0, TICK_MS);
}

function judge(): void {
  const job = Atomics.load(running, 0);
  const cpuMs = processMs() - (startedAtCpuMs[0] as number);
  const isOverMemory = process.memoryUsage.rss() > RSS_BYTES_MAX;
  // The figures are of that expression only if it still runs.
  if (job !== 0 && job === Atomics.load(running, 0) && (cpuMs > CPU_MS_MAX + GRACE_MS || isOverMemory)) {
    end(isOverMemory ? 'memory' : 'time');
  }
}

function end(verdict: Verdict): void {
  try {
    writeSync(VERDICT_FD, verdict);
  } finally {
    // Also when the server is gone, and nobody reads it.
    process.kill(process.pid, 'SIGKILL');
  }
}
