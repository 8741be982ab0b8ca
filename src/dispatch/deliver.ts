import type { Clock } from '../core/clock.ts';
import { buildRequest } from '../core/outgoing-request.ts';
import { type RetrySchedule, stateAfterAttempt } from '../core/retry-policy.ts';
import type { Facts } from '../observe/facts.ts';
import type { AttemptRecord, ClaimedDelivery } from '../storage/statements.ts';
import type { Sender } from './sender.ts';

export interface DeliverDependencies {
  readonly sender: Sender;
  readonly retrySchedule: RetrySchedule;
  readonly userAgent: string;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly facts: Facts;
}

/**
 * One attempt at one delivery: build the request, send it, decide what follows. Nothing is stored here;
 * the record is the caller's to write.
 *
 * @returns `undefined` when the attempt was broken off because the process stops; its lease will run out.
 */
export async function deliver(
  delivery: ClaimedDelivery,
  dependencies: DeliverDependencies,
): Promise<AttemptRecord | undefined> {
  const { sender, retrySchedule, userAgent, clock, random, facts } = dependencies;
  const request = buildRequest(delivery, { userAgent, sentAt: clock.now() });
  const outcome = await sender.send(request);
  if (outcome === undefined) {
    return undefined;
  }
  const result = { ...outcome, attempt: delivery.attemptInRound, now: clock.now() };
  const state = stateAfterAttempt(result, retrySchedule, random());
  facts.attemptMade(delivery, outcome, state);
  return { deliveryId: delivery.deliveryId, attempt: delivery.attempt, outcome, state };
}
