import type { Clock } from '../core/clock.ts';
import type { AttemptError, ExchangeOutcome } from '../core/delivery.ts';
import { type RetrySchedule, stateAfterAttempt } from '../core/retry-policy.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { AttemptRecord, ClaimedDelivery } from '../storage/statements.ts';
import type { Payloads } from './payloads.ts';
import type { Sender } from './http-sender.ts';

export interface DeliverDependencies {
  readonly sender: Sender;
  readonly payloads: Payloads;
  readonly retrySchedule: RetrySchedule;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/**
 * One attempt at one delivery: send its request, and decide what follows. Whatever goes wrong is an outcome.
 * Nothing is stored here; the record is the caller's to write.
 *
 * @param isCalledOff asked last before the request is begun
 * @returns `undefined` when there is nothing to record: the process stops and has broken the request off, the
 * event was deleted, or the delivery was called off.
 * @throws what reading the payload throws: the store is away
 */
export async function deliver(
  delivery: ClaimedDelivery,
  dependencies: DeliverDependencies,
  isCalledOff: () => boolean,
): Promise<AttemptRecord | undefined> {
  const { retrySchedule, clock, random, telemetry } = dependencies;
  const outcome = await outcomeOf(delivery, dependencies, isCalledOff);
  if (outcome === undefined) {
    return undefined;
  }
  const state = stateAfterAttempt(
    { ...outcome, attempt: delivery.attemptInCycle, now: clock.now() },
    retrySchedule,
    random(),
  );
  telemetry.attemptMade(delivery, outcome, state);
  const { deliveryId, attempt, destinationVersion } = delivery;
  return { deliveryId, attempt, destinationVersion, outcome, state };
}

async function outcomeOf(
  delivery: ClaimedDelivery,
  { sender, payloads, clock, telemetry }: DeliverDependencies,
  isCalledOff: () => boolean,
): Promise<ExchangeOutcome | undefined> {
  const startedAt = clock.now();
  if (delivery.problem !== null) {
    return unsent(startedAt, delivery.problem);
  }
  return payloads.lend(delivery, async (payload) => {
    if (payload === undefined || isCalledOff()) {
      return undefined;
    }
    try {
      return await sender.send({ ...delivery, payload }, clock.now());
    } catch (error) {
      telemetry.unexpectedError('deliver', error);
      return unsent(startedAt, 'UNKNOWN');
    }
  });
}

function unsent(startedAt: number, error: AttemptError): ExchangeOutcome {
  return { startedAt, durationMs: 0, statusCode: null, error, responseBody: null, retryAfter: null };
}
