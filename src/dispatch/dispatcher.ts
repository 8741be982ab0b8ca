import { saysGone, type Ticket, type TicketLane } from '../core/delivery.ts';
import { type Blame, LOST_COUNT_MAX } from '../storage/statements.ts';
import { type ClaimAnswer, type DeliverOptions, DeliverySteps, type Leased } from './deliver.ts';
import type { Lane, Priority, Rescue } from './lanes.ts';
import type { LookUp, TicketPick } from './picks.ts';
import { isHeldBack, RateHolds } from './rate-holds.ts';
import { type Bounds, Scheduler } from './scheduler.ts';
import { TaskGroup } from './task-group.ts';

/** A delivery that kills its worker is expected to do so within this time. */
const RESCUE_WATCHED_MS = 500;
/** The predecessors of these deliveries are recorded meanwhile. */
const UNDECIDED_MS = 10;
/** A worker that dies with this few deliveries under way has probably died of one of them. */
const FEW_UNDER_WAY = 2;

export interface DispatcherOptions extends DeliverOptions {
  readonly bounds: Bounds;
}

/**
 * Drives deliveries through their steps (see `deliver.ts`) in the order in which the scheduler picks them. What it
 * holds in memory is bounded and may be lost at any moment: the database has everything.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #scheduler: Scheduler;
  readonly #steps: DeliverySteps;
  readonly #holds: RateHolds;
  readonly #claims = new TaskGroup();
  readonly #deliveries = new TaskGroup();
  #pumpIsDue = false;
  #cancelPump: (() => void) | undefined;
  #isStopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler(options.bounds);
    this.#steps = new DeliverySteps(options);
    this.#holds = new RateHolds({
      ...options,
      hold: (lane, isHeld) => {
        this.#scheduler.hold(lane, isHeld);
        this.#pumpSoon();
      },
    });
  }

  /** Returns at once. Tickets that do not fit are dropped; their deliveries stay in the database. */
  offer(tickets: readonly Ticket[]): void {
    if (!this.#isStopping) {
      for (const ticket of tickets) {
        this.#scheduler.offer(ticket);
      }
      this.#pumpSoon();
    }
  }

  /**
   * Offers destinations with due deliveries, which are looked up when there is a slot.
   *
   * @param rewind the deliveries may have been due before those that were claimed last
   */
  offerLanes(lanes: readonly TicketLane[], priority: Priority, rewind: boolean): void {
    if (!this.#isStopping) {
      for (const lane of lanes) {
        this.#scheduler.offerLane(lane, priority, rewind);
      }
      // Also without lanes: after a pause of the store, nothing else pumps if no request is under way.
      this.#pumpSoon();
    }
  }

  /** Offers a destination with deliveries whose worker died; see `Scheduler.offerLost`. */
  offerLost(lane: TicketLane, lost: number): void {
    if (!this.#isStopping) {
      this.#scheduler.offerLost(lane, lost);
      this.#pumpSoon();
    }
  }

  /** Begins no more requests to these destinations, and gives back what was claimed for them. */
  withdraw(destinationIds: readonly string[]): void {
    for (const lane of destinationIds.flatMap((id) => this.#scheduler.lane(id) ?? [])) {
      lane.withdrawals += 1;
      lane.isEnabled = false;
      this.#releaseReady([lane]);
    }
  }

  /** The same for a destination that has changed: what is given back is claimed again, as the destination is now. */
  renew(destinationId: string): void {
    const lane = this.#scheduler.lane(destinationId);
    if (lane !== undefined) {
      lane.withdrawals += 1;
      lane.isEnabled = true;
      this.#releaseReady([lane]);
    }
  }

  /** Destinations with claims whose requests have not begun. */
  get waitingDestinations(): string[] {
    return this.#scheduler.waitingDestinations;
  }

  /**
   * Finishes the requests under way, and gives back the claims that wait for a slot.
   *
   * @param graceMs the time after which requests are aborted; their leases run out
   * @returns how many were aborted
   */
  async stop(graceMs: number): Promise<number> {
    this.#isStopping = true;
    this.#steps.stop();
    this.#cancelPump?.();
    this.#holds.stop();
    this.#scheduler.clear();
    await this.#claims.settled();
    this.#releaseReady(this.#scheduler.lanes);
    await this.#claims.settled();
    await this.#deliveries.settled(graceMs);
    const unfinished = this.#deliveries.size;
    this.#steps.abort();
    await this.#deliveries.settled();
    return unfinished;
  }

  // Once for everything that happens in this turn of the event loop, so that claims share a commit.
  #pumpSoon(): void {
    if (!this.#pumpIsDue) {
      this.#pumpIsDue = true;
      setImmediate(() => {
        this.#pumpIsDue = false;
        this.#pump();
      });
    }
  }

  #pump(): void {
    if (this.#isStopping || this.#steps.isPaused) {
      return;
    }
    const { timer } = this.#options;
    const { tickets, lookUps, rescues, heldBackFor } = this.#scheduler.pick(timer.now());
    if (heldBackFor !== undefined) {
      this.#cancelPump ??= timer.after(heldBackFor, () => {
        this.#cancelPump = undefined;
        this.#pumpSoon();
      });
    }
    for (const rescue of rescues) {
      this.#claims.add(this.#rescue(rescue));
    }
    for (const pick of tickets) {
      this.#claims.add(this.#claim(pick));
    }
    for (const lookUp of lookUps) {
      this.#claims.add(this.#lookUp(lookUp));
    }
  }

  get #blame(): Blame {
    return this.#scheduler.claimed <= FEW_UNDER_WAY ? 2 : 1;
  }

  /** A ticket whose claim fails is dropped; its delivery is looked up instead. So is that of a limited destination. */
  async #claim({ lane, ticket }: TicketPick): Promise<void> {
    const { withdrawals } = lane;
    const answer = await this.#steps.claim({ by: 'ticket', ticket }, this.#blame);
    if (answer === undefined || answer.limit !== undefined) {
      this.#scheduler.offerLane(lane, 'fresh', answer === undefined);
    }
    this.#claimed(lane, { asked: 1, answer, withdrawals });
  }

  async #lookUp({ lane, limit: asked }: LookUp): Promise<void> {
    const { withdrawals, destinationId, cursor: from, isRated } = lane;
    const order = { by: 'look-up', destinationId, from, limit: asked, isRated } as const;
    const answer = await this.#steps.claim(order, this.#blame);
    const found = answer?.found ?? [];
    const isLimited = isHeldBack(answer, isRated);
    if (isLimited) {
      this.#scheduler.offerLane(lane, lane.inStore ?? 'fresh', false);
    } else if (answer === undefined) {
      this.#scheduler.offerLane(lane, 'fresh', from === 0);
    } else if (isRated && answer.limit === undefined && found.length === 0) {
      this.#scheduler.forgetLimits(lane);
    }
    this.#holds.hold(lane, answer);
    const parked = answer?.passedOver?.parked ?? 0;
    const mayBeMore = found.length + parked === asked || isLimited;
    // What was parked is due no more. If nothing else was found, the next look-up begins where this one did.
    const lastDueAt = found.at(-1)?.delivery.dueAt ?? (parked > 0 ? from : undefined);
    this.#scheduler.lookedUp(lane, mayBeMore ? lastDueAt : undefined);
    this.#claimed(lane, { asked, answer, withdrawals });
  }

  async #rescue(rescue: Rescue): Promise<void> {
    const { lane, isAlone } = rescue;
    const { withdrawals, destinationId, isRated } = lane;
    const order = { by: 'rescue', destinationId, lostMost: isAlone ? LOST_COUNT_MAX : 0, isRated } as const;
    const answer = await this.#steps.claim(order, this.#blame);
    const [found] = answer?.found ?? [];
    this.#holds.hold(lane, answer);
    this.#scheduler.rescued(rescue, found !== undefined || isHeldBack(answer, isRated));
    if (answer === undefined || found === undefined) {
      this.#claimed(lane, { asked: 1, answer, withdrawals });
    } else {
      const { promise: isSent, resolve: onSent } = Promise.withResolvers<void>();
      this.#claimed(lane, { asked: 1, answer: { ...answer, found: [{ ...found, onSent }] }, withdrawals });
      const cancel = this.#options.timer.after(RESCUE_WATCHED_MS, onSent);
      await isSent;
      cancel();
    }
    this.#scheduler.rescueEnded();
    this.#pumpSoon();
  }

  #claimed(
    lane: Lane,
    { asked, answer, withdrawals }: { asked: number; answer: ClaimAnswer | undefined; withdrawals: number },
  ): void {
    const tooMany = this.#scheduler.claimAnswered(lane, asked, answer?.found ?? [], answer?.limit?.policy);
    if (tooMany.length > 0) {
      this.#claims.add(this.#giveBack(lane, tooMany));
    }
    if (lane.withdrawals !== withdrawals) {
      this.#releaseReady([lane]);
    }
    if (answer?.passedOver !== undefined && answer.passedOver.undecided > 0) {
      this.#options.timer.after(UNDECIDED_MS, () => this.offerLanes([lane], 'fresh', true));
    }
    this.#sendReady(lane);
    this.#pumpSoon();
  }

  #sendReady(lane: Lane): void {
    const { timer } = this.#options;
    while (!this.#isStopping) {
      const leased = this.#scheduler.begin(lane, timer.now());
      if (leased === undefined) {
        return;
      }
      this.#deliveries.add(this.#deliver(lane, leased));
    }
  }

  async #deliver(lane: Lane, leased: Leased): Promise<void> {
    const { withdrawals } = lane;
    const sent = await this.#steps.send(leased, () => lane.withdrawals !== withdrawals);
    // The slot is free before the record is stored, so that it does not wait for a commit.
    this.#scheduler.end(lane, leased, this.#options.timer.now());
    leased.onSent?.();
    if (sent.next === 'record' && saysGone(sent.record.outcome)) {
      // The other claims keep their attempts for when the destination is enabled again.
      this.withdraw([lane.destinationId]);
    }
    this.#sendReady(lane);
    this.#pumpSoon();
    await this.#steps.record(leased, sent, (ticket) => this.#offerNext(ticket));
    if (sent.next === 'release') {
      this.#offerReleased(lane);
    }
  }

  /** Where this process is stopping, the sweepers of others find the delivery. */
  #offerNext(ticket: Ticket): void {
    if (!this.#isStopping) {
      this.#scheduler.offer(ticket, true);
      this.#pumpSoon();
    }
  }

  #releaseReady(lanes: Iterable<Lane>): void {
    for (const lane of lanes) {
      const ready = this.#scheduler.takeReady(lane);
      if (ready.length > 0) {
        this.#claims.add(this.#giveBack(lane, ready));
      }
    }
  }

  async #giveBack(lane: Lane, claims: readonly Leased[]): Promise<void> {
    await this.#steps.release(claims);
    this.#offerReleased(lane);
  }

  /** Their tickets are used up, and the sweeper would leave fresh ones to their tickets for a while. */
  #offerReleased(lane: Lane): void {
    if (lane.isEnabled) {
      this.offerLanes([lane], 'fresh', true);
    }
  }
}
