import type { LookupFunction } from 'node:net';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import type { RetrySchedule } from '../core/retry-policy.ts';
import { type Clock, systemTimer } from '../core/clock.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Egress } from './egress.ts';
import { Payloads } from './payloads.ts';
import type { Sender } from './http-sender.ts';
import { SenderPool } from './sender-pool.ts';
import { Sweeper } from './sweeper.ts';

export interface DispatchOptions {
  readonly queue: DeliveryQueue;
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly timeoutMs: number;
  readonly egress: Egress;
  /** For tests. Threads cannot be given a function, and ask the system's name servers. */
  readonly lookup?: LookupFunction | undefined;
  /** Threads that make the requests; 0 makes them on the main thread. */
  readonly senderThreads: number;
  readonly retrySchedule: RetrySchedule;
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
  readonly userAgent: string;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface Dispatch {
  /** Destinations that get nothing from now on: of what is claimed for them, nothing more is begun. */
  withdraw(destinationIds: readonly string[]): void;
  /**
   * Takes no new work and finishes what is under way. A second call waits for the first.
   *
   * @returns how many requests had to be broken off after `graceMs`.
   */
  stop(graceMs: number): Promise<number>;
}

/** got is loaded only where it is used: not on the main thread when threads send. */
async function createSender({
  senderThreads,
  userAgent,
  timeoutMs,
  egress,
  lookup,
  telemetry,
}: DispatchOptions): Promise<Sender> {
  if (senderThreads > 0) {
    return new SenderPool({ threads: senderThreads, userAgent, timeoutMs, egress, telemetry });
  }
  const { HttpSender } = await import('./http-sender.ts');
  return new HttpSender({ userAgent, timeoutMs, egress, lookup });
}

/** Starts everything that makes deliveries: the dispatcher, what feeds it, and what finds the forgotten. */
export async function startDispatch(options: DispatchOptions): Promise<Dispatch> {
  const { queue, maxConcurrency, maxConcurrencyPerDestination } = options;
  const dispatcher = new Dispatcher({
    ...options,
    sender: await createSender(options),
    payloads: new Payloads((eventId, target) => options.deliveries.readPayload(eventId, target)),
    timer: systemTimer,
    bounds: { maxConcurrency, maxConcurrencyPerDestination, threads: Math.max(options.senderThreads, 1) },
  });
  const sweeper = new Sweeper({
    ...options,
    timer: systemTimer,
    // A process that is told of no tickets does not wait for any.
    graceMs: () => (queue.isConsuming ? queue.visibilityMs : 0),
    offerLanes: (lanes, line) => dispatcher.offerLanes(lanes, line, true),
    offerLost: (lane, lost) => dispatcher.offerLost(lane, lost),
    aheadOf: () => dispatcher.aheadOf,
    withdraw: (destinationIds) => dispatcher.withdraw(destinationIds),
  });
  await queue.subscribe(
    (tickets) => dispatcher.offer(tickets),
    (lanes) => (lanes === undefined ? sweeper.wake() : dispatcher.offerLanes(lanes, 'fresh', false)),
  );
  sweeper.start();

  let stopped: Promise<number> | undefined;
  return {
    withdraw: (destinationIds) => dispatcher.withdraw(destinationIds),
    stop: (graceMs) => {
      stopped ??= (async () => {
        await queue.stop();
        await sweeper.stop();
        return dispatcher.stop(graceMs);
      })();
      return stopped;
    },
  };
}
