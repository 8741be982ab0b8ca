import type { Timer } from '../core/clock.ts';
import { saysGone, type Ticket, type TicketLane } from '../core/delivery.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import { type AttemptRecord, type Blame, type ClaimedDelivery, LOST_COUNT_MAX } from '../storage/statements.ts';
import { deliver, type DeliverDependencies } from './deliver.ts';
import type { Claims, Lane, Leased, Line, Rescue } from './lanes.ts';
import { type Bounds, Scheduler } from './scheduler.ts';
import { STORE_PAUSE_MS, StorePause } from './store-pause.ts';
import { TaskGroup } from './task-group.ts';

/** A delivery that ends its worker is expected to do it by then. */
const RESCUE_WATCHED_MS = 500;
/** A worker that dies with so few deliveries under way has probably died of one of them. */
const FEW_UNDER_WAY = 2;
/** On top of the time that a claim made ahead may wait and the time that its request may take. */
const LEASE_MARGIN_MS = 15_000;

export interface DispatcherOptions extends DeliverDependencies {
  readonly deliveries: Pick<DeliveryStore, 'claim' | 'claimLane' | 'claimLost' | 'record' | 'release'>;
  readonly bounds: Bounds;
  /** Upper bound of one request. */
  readonly timeoutMs: number;
  readonly timer: Timer;
}

/**
 * Learns what is due, claims it, and keeps as many requests under way as the bounds allow. What it holds in
 * memory is bounded too, and can be lost at any moment: the database knows better.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #scheduler: Scheduler;
  readonly #claims = new TaskGroup();
  readonly #exchanges = new TaskGroup();
  readonly #pause: StorePause;
  readonly #leaseMs: number;
  #pumpIsDue = false;
  #cancelPump: (() => void) | undefined;
  #isStopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler(options.bounds);
    this.#pause = new StorePause(options.telemetry, options.timer);
    this.#leaseMs = 2 * options.timeoutMs + LEASE_MARGIN_MS;
  }

  /** Never waits: what there is no room for stays in the database. */
  offer(tickets: readonly Ticket[]): void {
    if (!this.#isStopping) {
      for (const ticket of tickets) {
        this.#scheduler.offer(ticket);
      }
      this.#pumpSoon();
    }
  }

  /**
   * Destinations that have something due, which is looked up when there is a slot for it.
   *
   * @param isAnywhere it may be older than what was claimed last
   */
  offerLanes(lanes: readonly TicketLane[], line: Line, isAnywhere: boolean): void {
    if (!this.#isStopping) {
      for (const lane of lanes) {
        this.#scheduler.offerLane(lane, line, isAnywhere);
      }
      // Also without lanes: nothing else ends a pause when no request is left to end.
      this.#pumpSoon();
    }
  }

  /** Destinations with deliveries whose worker has died; see `Scheduler.offerLost`. */
  offerLost(lane: TicketLane, lost: number): void {
    if (!this.#isStopping) {
      this.#scheduler.offerLost(lane, lost);
      this.#pumpSoon();
    }
  }

  /** Destinations that get nothing from now on: what was claimed for them, and has not begun, is given back. */
  withdraw(destinationIds: readonly string[]): void {
    for (const lane of destinationIds.flatMap((id) => this.#scheduler.lane(id) ?? [])) {
      lane.withdrawals += 1;
      this.#claims.add(this.#release(this.#scheduler.takeReady(lane)));
    }
  }

  get aheadOf(): string[] {
    return this.#scheduler.aheadOf;
  }

  /**
   * Finishes what is under way, and gives back what was claimed ahead.
   *
   * @param graceMs after that, requests are broken off; their leases run out.
   * @returns how many were broken off.
   */
  async stop(graceMs: number): Promise<number> {
    this.#isStopping = true;
    this.#cancelPump?.();
    this.#scheduler.clear();
    await this.#claims.settled();
    await this.#release([...this.#scheduler.lanes].flatMap((lane) => this.#scheduler.takeReady(lane)));
    await this.#exchanges.settled(graceMs);
    const unfinished = this.#exchanges.size;
    this.#options.sender.close();
    await this.#exchanges.settled();
    return unfinished;
  }

  // One turn for all that happened in this round of the event loop, so that claims share a commit.
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
    const now = this.#options.timer.now();
    if (this.#isStopping || this.#pause.isOn) {
      return;
    }
    const { tickets, lookUps, rescues, heldBackFor } = this.#scheduler.pick(now);
    if (heldBackFor !== undefined) {
      this.#cancelPump ??= this.#options.timer.after(heldBackFor, () => {
        this.#cancelPump = undefined;
        this.#pumpSoon();
      });
    }
    for (const rescue of rescues) {
      this.#claims.add(this.#rescue(rescue, now + this.#leaseMs));
    }
    for (const { lane, ticket } of tickets) {
      this.#claims.add(this.#claim(lane, ticket, now + this.#leaseMs));
    }
    for (const { lane, limit } of lookUps) {
      this.#claims.add(this.#lookUp(lane, limit, now + this.#leaseMs));
    }
  }

  get #lease(): { leaseMs: number; blame: Blame } {
    return { leaseMs: this.#leaseMs, blame: this.#scheduler.claimed <= FEW_UNDER_WAY ? 2 : 1 };
  }

  /** A ticket whose claim fails is not tried again: the database tells of its delivery. */
  async #claim(lane: Lane, ticket: Ticket, until: number): Promise<void> {
    const { deliveries } = this.#options;
    const { withdrawals } = lane;
    const answer = await this.#pause.around(
      'claim',
      async () => [await deliveries.claim({ ticket, ...this.#lease })],
      [],
    );
    if (answer === undefined) {
      this.#scheduler.offerLane(lane, 'fresh', true);
    }
    this.#claimed(lane, { asked: 1, found: answer ?? [], until, withdrawals });
  }

  async #lookUp(lane: Lane, limit: number, until: number): Promise<void> {
    const { deliveries } = this.#options;
    const { withdrawals } = lane;
    const request = { destinationId: lane.destinationId, limit, from: lane.from, ...this.#lease };
    const found = await this.#pause.around('look-up', () => deliveries.claimLane(request), []);
    if (found === undefined) {
      this.#scheduler.offerLane(lane, 'fresh', request.from === 0);
    }
    this.#scheduler.lookedUp(lane, found?.length === limit ? found.at(-1)?.dueAt : undefined);
    this.#claimed(lane, { asked: limit, found: found ?? [], until, withdrawals });
  }

  async #rescue(rescue: Rescue, until: number): Promise<void> {
    const { lane, isAlone } = rescue;
    const { timer, deliveries } = this.#options;
    const { withdrawals } = lane;
    const request = { destinationId: lane.destinationId, lostMost: isAlone ? LOST_COUNT_MAX : 0, ...this.#lease };
    const found = await this.#pause.around('rescue', async () => [await deliveries.claimLost(request)], []);
    const hasFound = found?.[0] !== undefined;
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>();
    this.#scheduler.rescued(rescue, hasFound);
    this.#claimed(lane, { asked: 1, found: found ?? [], until, withdrawals, onEnd });
    if (hasFound) {
      const callOff = timer.after(RESCUE_WATCHED_MS, onEnd);
      await ended;
      callOff();
    }
    this.#scheduler.rescueEnded();
    this.#pumpSoon();
  }

  #claimed(lane: Lane, { asked, found, withdrawals, ...lease }: Claims): void {
    const claimed = found.filter((delivery) => delivery !== undefined);
    this.#scheduler.count(lane, () => {
      lane.claiming -= asked;
      for (const delivery of claimed) {
        lane.ready.push({ delivery, ...lease });
      }
    });
    if (lane.withdrawals !== withdrawals) {
      this.#claims.add(this.#release(this.#scheduler.takeReady(lane)));
    }
    this.#startReady(lane);
    this.#pumpSoon();
  }

  #startReady(lane: Lane): void {
    const { bounds, timer, timeoutMs } = this.#options;
    while (!this.#isStopping && lane.active < bounds.maxConcurrencyPerDestination) {
      const leased = lane.ready[0];
      if (leased === undefined) {
        return;
      }
      // After a long standstill of the process the lease may be over, and the delivery somebody else's.
      const isInTime = timer.now() + timeoutMs < leased.until;
      this.#scheduler.count(lane, () => {
        lane.ready.shift();
        lane.active += isInTime ? 1 : 0;
      });
      if (isInTime) {
        this.#exchanges.add(this.#exchange(lane, leased));
      }
    }
  }

  async #exchange(lane: Lane, { delivery, until, onEnd }: Leased): Promise<void> {
    const { withdrawals } = lane;
    const isCalledOff = (): boolean => lane.withdrawals !== withdrawals;
    const begun = this.#scheduler.requests.begin(this.#options.timer.now());
    const exchange = async () => ({ record: await deliver(delivery, this.#options, isCalledOff) });
    const answer = await this.#pause.around('payload', exchange);
    this.#scheduler.requests.end(begun);
    this.#scheduler.count(lane, () => {
      lane.active -= 1;
      lane.lastFinishedAt = this.#options.timer.now();
    });
    onEnd?.();
    if (answer?.record !== undefined && saysGone(answer.record.outcome)) {
      this.#options.telemetry.destinationGone(delivery);
      // What was claimed ahead keeps its attempts for when the destination is enabled again.
      this.withdraw([lane.destinationId]);
    }
    this.#startReady(lane);
    this.#pumpSoon();
    if (answer?.record !== undefined) {
      await this.#record(answer.record, until);
    } else if (answer === undefined || isCalledOff()) {
      await this.#release([delivery]);
    }
  }

  async #release(unsent: readonly ClaimedDelivery[]): Promise<void> {
    if (unsent.length > 0) {
      await this.#pause.around('release', () => this.#options.deliveries.release(unsent));
    }
  }

  /** Tries for as long as the lease keeps the delivery: what is not recorded is sent a second time. */
  async #record(record: AttemptRecord, until: number): Promise<void> {
    const { deliveries, timer } = this.#options;
    for (;;) {
      const recorded = await this.#pause.around('record', () => deliveries.record(record), false);
      if (recorded !== undefined || this.#isStopping || timer.now() + STORE_PAUSE_MS >= until) {
        return;
      }
      await new Promise<void>((resolve) => void timer.after(STORE_PAUSE_MS, resolve));
    }
  }
}
