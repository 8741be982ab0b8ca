import type { Clock, Timer } from '../core/clock.ts';
import { type ExchangeOutcome, outcomeUnsent, saysGone, type Ticket } from '../core/delivery.ts';
import { type RetrySchedule, stateAfterAttempt } from '../core/retry-policy.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import type { AttemptRecord, Blame, ClaimedDelivery } from '../storage/statements.ts';
import type { Sender } from './http-sender.ts';
import type { Payloads } from './payloads.ts';
import { STORE_PAUSE_MS, StorePause } from './store-pause.ts';

/** Added to the time of two requests: a claim may wait for a slot while another request uses it. */
const LEASE_MARGIN_MS = 15_000;

export interface DeliverOptions {
  readonly deliveries: Pick<DeliveryStore, 'claim' | 'claimLane' | 'claimLost' | 'record' | 'release'>;
  readonly sender: Sender;
  readonly payloads: Payloads;
  /** Upper bound of one request. The lease is derived from it, before the claim tells which destination it is. */
  readonly timeoutMs: number;
  readonly retrySchedule: RetrySchedule;
  readonly clock: Clock;
  readonly timer: Timer;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** Which deliveries to claim: that of a ticket, the oldest due ones of a destination, or one whose worker died. */
export type ClaimOrder =
  | { readonly by: 'ticket'; readonly ticket: Ticket }
  | { readonly by: 'look-up'; readonly destinationId: string; readonly from: number; readonly limit: number }
  | { readonly by: 'rescue'; readonly destinationId: string; readonly lostMost: number };

/** A claimed delivery and the lease that this worker has on it. */
export interface Leased {
  readonly delivery: ClaimedDelivery;
  /** On the monotonic clock, in milliseconds. */
  readonly leaseUntil: number;
  /** Called when the request has ended. */
  onSent?: () => void;
}

/** What has to follow the request. */
export type Sent =
  | { readonly next: 'record'; readonly record: AttemptRecord }
  /** The request was not begun, because its payload could not be read or the destination was withdrawn. */
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
  readonly #leaseMs: number;
  #isStopping = false;

  constructor(options: DeliverOptions) {
    this.#options = options;
    this.#pause = new StorePause(options.telemetry, options.timer);
    this.#leaseMs = 2 * options.timeoutMs + LEASE_MARGIN_MS;
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
  async claim(order: ClaimOrder, blame: Blame): Promise<Leased[] | undefined> {
    const leaseUntil = this.#options.timer.now() + this.#leaseMs;
    const found = await this.#pause.run(
      order.by === 'ticket' ? 'claim' : order.by,
      () => this.#claim(order, blame),
      [],
    );
    return found?.map((delivery) => ({ delivery, leaseUntil }));
  }

  async #claim(order: ClaimOrder, blame: Blame): Promise<readonly ClaimedDelivery[]> {
    const { deliveries } = this.#options;
    const lease = { leaseMs: this.#leaseMs, blame };
    if (order.by === 'look-up') {
      return deliveries.claimLane({ ...order, ...lease });
    }
    const one = await (order.by === 'ticket'
      ? deliveries.claim({ ...order, ...lease })
      : deliveries.claimLost({ ...order, ...lease }));
    return one === undefined ? [] : [one];
  }

  /**
   * Step 2: sends the request and decides what follows. A failed request is an outcome, not an exception.
   *
   * @param isWithdrawn checked last before the request begins
   */
  async send({ delivery, leaseUntil }: Leased, isWithdrawn: () => boolean): Promise<Sent> {
    const { timer, timeoutMs } = this.#options;
    // If the process stood still for long, another worker may have the delivery by now.
    if (timer.now() + timeoutMs >= leaseUntil) {
      return { next: 'nothing' };
    }
    const sent = await this.#pause.run('payload', () => this.#exchange(delivery, isWithdrawn));
    if (sent === undefined || sent === 'withdrawn') {
      return { next: 'release' };
    }
    return sent === 'no outcome' ? { next: 'nothing' } : { next: 'record', record: this.#judge(delivery, sent) };
  }

  async #exchange(
    delivery: ClaimedDelivery,
    isWithdrawn: () => boolean,
  ): Promise<ExchangeOutcome | 'withdrawn' | 'no outcome'> {
    const { sender, payloads, clock, telemetry } = this.#options;
    const startedAt = clock.now();
    if (delivery.problem !== null) {
      return outcomeUnsent(startedAt, delivery.problem);
    }
    return payloads.lend(delivery, async (payload) => {
      if (payload === undefined) {
        return 'no outcome';
      }
      if (isWithdrawn()) {
        return 'withdrawn';
      }
      try {
        return (await sender.send({ ...delivery, payload }, clock.now())) ?? 'no outcome';
      } catch (error) {
        telemetry.unexpectedError('deliver', error);
        return outcomeUnsent(startedAt, 'UNKNOWN');
      }
    });
  }

  #judge(delivery: ClaimedDelivery, outcome: ExchangeOutcome): AttemptRecord {
    const { retrySchedule, clock, random, telemetry } = this.#options;
    const state = stateAfterAttempt(
      { ...outcome, attempt: delivery.attemptInCycle, now: clock.now() },
      retrySchedule,
      random(),
    );
    telemetry.attemptMade(delivery, outcome, state);
    if (saysGone(outcome)) {
      telemetry.destinationGone(delivery);
    }
    const { deliveryId, attempt, destinationVersion } = delivery;
    return { deliveryId, attempt, destinationVersion, outcome, state };
  }

  /** Step 3: stores the attempt and the new state of the delivery, or gives the claim back. */
  async record(leased: Leased, sent: Sent): Promise<void> {
    if (sent.next === 'record') {
      await this.#record(sent.record, leased.leaseUntil);
    } else if (sent.next === 'release') {
      await this.release([leased]);
    }
  }

  /** Retries until the lease ends: an attempt that is not recorded is made a second time. */
  async #record(record: AttemptRecord, leaseUntil: number): Promise<void> {
    const { deliveries, timer } = this.#options;
    for (;;) {
      const recorded = await this.#pause.run('record', () => deliveries.record(record), false);
      if (recorded !== undefined || this.#isStopping || timer.now() + STORE_PAUSE_MS >= leaseUntil) {
        return;
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

  /** From now on a record that fails is not retried. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Aborts the requests under way. Their leases run out. */
  abort(): void {
    this.#options.sender.close();
  }
}
