import { availableParallelism } from 'node:os';
import { parseConfig } from '../src/config/config.ts';
import type { Profile } from './backing.ts';

/** Which processes an installation has, each by its settings, and how much they send at once. */
export interface Shape {
  readonly processes: readonly Readonly<Record<string, string>>[];
  /** Event loops that make requests. */
  readonly senders: number;
  /** Requests to one destination that are under way at the same time, in all. */
  readonly inFlight: number;
}

const { senderThreads, maxConcurrencyPerDestination } = parseConfig({
  SENDER_THREADS: process.env['SENDER_THREADS'],
}).delivery;

export const API: Shape = { processes: [{ ROLES: 'api' }], senders: 0, inFlight: 0 };

/** As it is run to use all cores of a machine. @param senders instead of one for each core */
export function allCores(profile: Profile, senders?: number): Shape {
  return profile === 'sqlite'
    ? oneProcess(senders ?? senderThreads)
    : withApi(workers(senders ?? availableParallelism()));
}

/** What one event loop can do. */
export function singleSender(profile: Profile): Shape {
  return profile === 'sqlite' ? oneProcess(0) : withApi(workers(1));
}

export function workers(count: number): Shape {
  return {
    processes: Array.from({ length: count }, () => ({ ROLES: 'worker', SENDER_THREADS: '0' })),
    senders: count,
    inFlight: count * maxConcurrencyPerDestination,
  };
}

function oneProcess(threads: number): Shape {
  return {
    processes: [{ ROLES: '', SENDER_THREADS: threads.toString() }],
    senders: Math.max(threads, 1),
    inFlight: maxConcurrencyPerDestination,
  };
}

function withApi(shape: Shape): Shape {
  return { ...shape, processes: [...API.processes, ...shape.processes] };
}
