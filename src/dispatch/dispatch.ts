import type { LookupFunction } from 'node:net';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import type { RetrySchedule } from '../core/retry-policy.ts';
import { type Clock, systemTimer } from '../core/clock.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Egress } from './egress.ts';
import { Payloads } from './payloads.ts';
import { type Expressions, RequestBodies } from './request-bodies.ts';
import type { Sender } from './http-sender.ts';
import { SenderPool } from './sender-pool.ts';
import { Sweeper } from './sweeper.ts';

export interface DispatchOptions {
  readonly queue: DeliveryQueue;
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Closed when the requests are aborted. */
  readonly expressions: Expressions;
  readonly timeoutMs: number;
  readonly egress: Egress;
  /** For tests. Sender threads cannot receive a function; they ask the system's name servers. */
  readonly lookup?: LookupFunction | undefined;
  /** 0 makes the requests on the main thread. */
  readonly senderThreads: number;
  readonly retrySchedule: RetrySchedule;
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
  readonly userAgent: string;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface Dispatch {
  /** Begins no more requests to these destinations, which were disabled or deleted. */
  withdraw(destinationIds: readonly string[]): void;
  /** Begins no more requests of this destination as it was before a change. */
  renew(destinationId: string): void;
  /**
   * Takes no new work and finishes the requests under way. A second call waits for the first.
   *
   * @returns how many requests were aborted after `graceMs`
   */
  stop(graceMs: number): Promise<number>;
}

/** The main thread loads got only if it sends by itself. */
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

/** Starts everything that makes deliveries: the dispatcher, the queue's consumer and the sweeper. */
export async function startDispatch(options: DispatchOptions): Promise<Dispatch> {
  const { queue, maxConcurrency, maxConcurrencyPerDestination } = options;
  const dispatcher = new Dispatcher({
    ...options,
    sender: await createSender(options),
    policyDefaults: { ...options, maxConcurrency: maxConcurrencyPerDestination },
    bodies: new RequestBodies({
      payloads: new Payloads((eventId, target) => options.deliveries.readPayload(eventId, target)),
      expressions: options.expressions,
      timer: systemTimer,
    }),
    timer: systemTimer,
    bounds: { maxConcurrency, maxConcurrencyPerDestination, threads: Math.max(options.senderThreads, 1) },
  });
  const sweeper = new Sweeper({
    ...options,
    timer: systemTimer,
    // A process that consumes no tickets does not wait for any.
    graceMs: () => (queue.isConsuming ? queue.visibilityMs : 0),
    offerLanes: (lanes, priority) => dispatcher.offerLanes(lanes, priority, true),
    offerLost: (lane, lost) => dispatcher.offerLost(lane, lost),
    waitingDestinations: () => dispatcher.waitingDestinations,
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
    renew: (destinationId) => dispatcher.renew(destinationId),
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
