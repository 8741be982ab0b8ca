import type { Clock, Timer } from '../core/clock.ts';
import { type ExchangeOutcome, outcomeUnsent, saysGone, type Ticket } from '../core/delivery.ts';
import { type EffectivePolicy, type PolicyDefaults, withDefaults } from '../core/delivery-policy.ts';
import { stateAfterAttempt } from '../core/retry-policy.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { Claims, DeliveryStore, Recorded } from '../storage/delivery-store.ts';
import type { NextDelivery, PassedOver } from '../storage/delivery-order.ts';
import { type AttemptRecord, type Blame, type ClaimedDelivery, leaseMsOf } from '../storage/statements.ts';
import type { Sender } from './http-sender.ts';
import type { RequestBodies } from './request-bodies.ts';
import { STORE_PAUSE_MS, StorePause } from './store-pause.ts';

const PROBLEMS: Readonly<Record<NonNullable<ClaimedDelivery['problem']>, string>> = {
  SECRET_UNREADABLE: "The destination's secrets cannot be opened with the encryption keys of this server.",
  WORKER_DIED: 'The processes that tried to deliver it have died meanwhile, several times.',
};

/** Where the store refuses a claim or a record itself. */
const NOTHING_CLAIMED: Claims = { claimed: [], limited: undefined, passedOver: undefined };
const NOTHING_RECORDED: Recorded = { isRecorded: false, next: undefined };

export interface DeliverOptions {
  readonly deliveries: Pick<DeliveryStore, 'claim' | 'claimLane' | 'claimLost' | 'claimRated' | 'record' | 'release'>;
  readonly sender: Sender;
  readonly bodies: RequestBodies;
  /** What holds for destinations without a policy of their own. */
  readonly policyDefaults: PolicyDefaults;
  readonly clock: Clock;
  readonly timer: Timer;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/**
 * Which deliveries to claim: that of a ticket, the oldest due ones of a destination, or one whose worker died. A rated
 * claim keeps to the rate limit of the destination; the others get nothing if there is one.
 */
export type ClaimOrder =
  | { readonly by: 'ticket'; readonly ticket: Ticket }
  | {
      readonly by: 'look-up';
      readonly destinationId: string;
      readonly from: number;
      readonly limit: number;
      readonly isRated: boolean;
    }
  | { readonly by: 'rescue'; readonly destinationId: string; readonly lostMost: number; readonly isRated: boolean };

/** What the store has answered. */
export interface ClaimAnswer {
  readonly found: readonly Leased[];
  /** Set if the destination has a rate limit. */
  readonly limit: ClaimLimit | undefined;
  /** Set if deliveries were due, but not next in their order. */
  readonly passedOver: PassedOver | undefined;
}

export interface ClaimLimit {
  readonly policy: EffectivePolicy;
  /** Milliseconds until the next attempt is allowed; see `RateNotice`. */
  readonly limitedForMs: number;
}

/** A claimed delivery and the lease that this worker has on it. */
export interface Leased {
  readonly delivery: ClaimedDelivery;
  readonly policy: EffectivePolicy;
  /** On the monotonic clock, in milliseconds. */
  readonly leaseUntil: number;
  /** Called when the request has ended. */
  onSent?: () => void;
}

/** What has to follow the request. */
export type Sent =
  | { readonly next: 'record'; readonly record: AttemptRecord }
  /** The request was not begun: its payload could not be read, its transformation waited, or the destination was withdrawn. */
  | { readonly next: 'release' }
  /** The event was deleted, the lease is over, or the process is stopping and has aborted the request. */
  | { readonly next: 'nothing' };

/**
 * Read this first. A delivery takes three steps: `claim` leases it, `send` makes the request, and `record` stores the
 * attempt. The scheduler decides which deliveries are claimed and when; the dispatcher calls the steps. When the
 * store fails, claiming pauses for 1 s. Leases and due times are unaffected.
 */
export class DeliverySteps {
  readonly #options: DeliverOptions;
  readonly #pause: StorePause;
  readonly #policies: EffectivePolicies;
  #isStopping = false;

  constructor(options: DeliverOptions) {
    this.#options = options;
    this.#pause = new StorePause(options.telemetry, options.timer);
    this.#policies = new EffectivePolicies(options.policyDefaults);
  }

  /** True for a while after the store has failed. */
  get isPaused(): boolean {
    return this.#pause.isOn;
  }

  /**
   * Step 1: leases deliveries and counts their next attempt.
   *
   * @param blame what the attempt counts if this worker dies during it
   * @returns `undefined` when the store failed. Deliveries may be leased all the same, if only the answer was lost.
   */
  async claim(order: ClaimOrder, blame: Blame): Promise<ClaimAnswer | undefined> {
    const askedAt = this.#options.timer.now();
    const during = order.by === 'ticket' ? 'claim' : order.by;
    const claims = await this.#pause.run(during, () => this.#claim(order, blame), NOTHING_CLAIMED);
    if (claims === undefined) {
      return undefined;
    }
    const { claimed, limited, passedOver } = claims;
    return {
      found: claimed.map((delivery) => this.#leased(delivery, askedAt)),
      limit: limited && { policy: this.#policies.of(limited.policy), limitedForMs: limited.limitedForMs },
      passedOver,
    };
  }

  #leased(delivery: ClaimedDelivery, askedAt: number): Leased {
    const policy = this.#policies.of(delivery.policy);
    return { delivery, policy, leaseUntil: askedAt + leaseMsOf(policy.timeoutMs) };
  }

  #claim(order: ClaimOrder, blame: Blame): Promise<Claims> {
    const { deliveries, policyDefaults } = this.#options;
    const lease = { leaseMs: leaseMsOf(policyDefaults.timeoutMs), blame };
    if (order.by === 'ticket') {
      return deliveries.claim({ ...order, ...lease });
    }
    if (order.isRated) {
      return deliveries.claimRated({ limit: 1, from: 0, lostMost: null, ...order, ...lease });
    }
    return order.by === 'look-up'
      ? deliveries.claimLane({ ...order, ...lease })
      : deliveries.claimLost({ ...order, ...lease });
  }

  /**
   * Step 2: sends the request and decides what follows. A failed request is an outcome, not an exception.
   *
   * @param isWithdrawn checked last before the request begins
   */
  async send(leased: Leased, isWithdrawn: () => boolean): Promise<Sent> {
    const { timer } = this.#options;
    const isTooLate = () => timer.now() + leased.policy.timeoutMs >= leased.leaseUntil;
    if (isTooLate()) {
      // It has waited for its slot for too long. If the process stood still, another worker may have it by now.
      return { next: timer.now() < leased.leaseUntil ? 'release' : 'nothing' };
    }
    const sent = await this.#pause.run('payload', () => this.#exchange(leased, () => isWithdrawn() || isTooLate()));
    if (sent === undefined || sent === 'withdrawn') {
      return { next: 'release' };
    }
    return sent === 'no outcome' ? { next: 'nothing' } : { next: 'record', record: this.#judge(leased, sent) };
  }

  async #exchange(
    { delivery, policy }: Leased,
    isWithdrawn: () => boolean,
  ): Promise<ExchangeOutcome | 'withdrawn' | 'no outcome'> {
    const { sender, bodies, clock, telemetry } = this.#options;
    const startedAt = clock.now();
    if (delivery.problem !== null) {
      return outcomeUnsent(startedAt, delivery.problem, PROBLEMS[delivery.problem]);
    }
    return bodies.lend(delivery, async (payload) => {
      if (payload === undefined) {
        return 'no outcome';
      }
      if (payload === 'delayed' || isWithdrawn()) {
        return 'withdrawn';
      }
      if (payload === 'unavailable') {
        return outcomeUnsent(startedAt, 'UNKNOWN', 'The server could not run the transformation.');
      }
      if (!Buffer.isBuffer(payload)) {
        return outcomeUnsent(startedAt, 'TRANSFORM_FAILED', payload.failure);
      }
      try {
        return (await sender.send({ ...delivery, payload }, clock.now(), policy.timeoutMs)) ?? 'no outcome';
      } catch (error) {
        telemetry.unexpectedError('deliver', error);
        return outcomeUnsent(startedAt, 'UNKNOWN');
      }
    });
  }

  #judge({ delivery, policy }: Leased, outcome: ExchangeOutcome): AttemptRecord {
    const { clock, random, telemetry } = this.#options;
    const state = stateAfterAttempt(
      { ...outcome, attempt: delivery.attemptInCycle, now: clock.now() },
      policy,
      random(),
    );
    telemetry.attemptMade(delivery, outcome, state);
    if (saysGone(outcome)) {
      telemetry.destinationGone(delivery);
    }
    const { deliveryId, attempt, destinationVersion, place } = delivery;
    return { deliveryId, attempt, destinationVersion, outcome, state, place };
  }

  /**
   * Step 3: stores the attempt and the new state of the delivery, or gives the claim back.
   *
   * @param onNext called with the ticket of the delivery that is next in the order
   */
  async record(leased: Leased, sent: Sent, onNext: (ticket: Ticket) => void): Promise<void> {
    if (sent.next === 'record') {
      const { destinationId, accountId } = leased.delivery;
      const next = await this.#record(sent.record, leased.leaseUntil);
      if (next !== undefined) {
        onNext({ deliveryId: next.deliveryId, destinationId, accountId, attempt: next.attempt });
      }
    } else if (sent.next === 'release') {
      await this.release([leased]);
    }
  }

  /**
   * Retries until the lease ends: an attempt that is not recorded is made a second time.
   *
   * @returns what is next in the order
   */
  async #record(record: AttemptRecord, leaseUntil: number): Promise<NextDelivery | undefined> {
    const { deliveries, timer } = this.#options;
    for (;;) {
      const recorded = await this.#pause.run('record', () => deliveries.record(record), NOTHING_RECORDED);
      if (recorded !== undefined || this.#isStopping || timer.now() + STORE_PAUSE_MS >= leaseUntil) {
        return recorded?.next;
      }
      await new Promise<void>((resolve) => void timer.after(STORE_PAUSE_MS, resolve));
    }
  }

  /** Gives back claims whose requests were not begun, so that their attempts do not count. */
  async release(unsent: readonly Leased[]): Promise<void> {
    if (unsent.length > 0) {
      const claims = unsent.map(({ delivery }) => delivery);
      await this.#pause.run('release', () => this.#options.deliveries.release(claims));
    }
  }

  /** From now on a record that fails is not retried, and claims that wait to be transformed are given back. */
  stop(): void {
    this.#options.bodies.stop();
    this.#isStopping = true;
  }

  /** Aborts the requests under way. Their leases run out. */
  abort(): void {
    this.#options.bodies.close();
    this.#options.sender.close();
  }
}

/** Puts in the defaults once for each policy: the store gives equal policies as one object. */
class EffectivePolicies {
  readonly #defaults: PolicyDefaults;
  readonly #known = new WeakMap<ClaimedDelivery['policy'], EffectivePolicy>();

  constructor(defaults: PolicyDefaults) {
    this.#defaults = defaults;
  }

  of(policy: ClaimedDelivery['policy']): EffectivePolicy {
    const known = this.#known.get(policy) ?? withDefaults(policy, this.#defaults);
    this.#known.set(policy, known);
    return known;
  }
}
