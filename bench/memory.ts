import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const SAMPLE_INTERVAL_MS = 100;

/** Resident memory of all these processes, in MiB. */
export function residentMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentOf(pid), 0);
}

function residentOf(pid: number): number {
  if (process.platform === 'linux') {
    const kib = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kib) / 1024;
  }
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', pid.toString()], { encoding: 'utf8' })) / 1024;
}

/** Runs the work, and answers the most memory that the processes have held together meanwhile. */
export async function peakMiB(pids: readonly number[], work: () => Promise<void>): Promise<number> {
  let peak = residentMiB(pids);
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMiB(pids));
  }, SAMPLE_INTERVAL_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(peak, residentMiB(pids));
}
