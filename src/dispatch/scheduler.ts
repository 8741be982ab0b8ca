import type { EffectivePolicy } from '../core/delivery-policy.ts';
import type { Ticket, TicketLane } from '../core/delivery.ts';
import { AccountRotation } from './account-rotation.ts';
import { BurstLimiter } from './burst-limiter.ts';
import type { Leased } from './deliver.ts';
import { LaneMemory } from './lane-memory.ts';
import { Lane, LostLanes, type Priority, type Rescue, setMember } from './lanes.ts';
import type { Picks, TicketPick } from './picks.ts';

/** Tickets in memory; about 3 MB. Deliveries whose tickets do not fit are looked up in the database. */
const TICKETS_MAX = 16_384;
/** About 20 MB. The sweeper finds the destinations beyond it again later. */
const LANES_MAX = 50_000;
/** Claims of all lanes together beyond their slots. */
const PREFETCH_MAX = 128;
/**
 * This share of the slots is for accounts that hold no more than it. So an account whose destinations all hang
 * cannot take every slot.
 */
const RESERVED_SHARE = 1 / 8;

export interface Bounds {
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
  /** Sender threads. */
  readonly threads: number;
}

/**
 * Hands out the slots: accounts take turns, and within an account its destinations. It is pure bookkeeping, without a
 * clock and without I/O. The cost of a call grows with the slots it hands out and not with the deliveries that wait:
 * lanes move between sets when they change, and nothing iterates over all of them.
 */
export class Scheduler {
  readonly #bounds: Bounds;
  readonly #accounts: AccountRotation;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that have all their slots and more to claim. */
  readonly #full = new Set<Lane>();
  readonly #memory: LaneMemory;
  readonly #lost = new LostLanes();
  readonly #bursts: BurstLimiter;
  #tickets = 0;
  #freeSlots: number;
  #freePrefetch = PREFETCH_MAX;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#memory = new LaneMemory(bounds);
    this.#freeSlots = bounds.maxConcurrency;
    const reserved = Math.floor(bounds.maxConcurrency * RESERVED_SHARE);
    this.#accounts = new AccountRotation(reserved);
    this.#bursts = new BurstLimiter(bounds.threads, reserved);
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values();
  }

  /** Deliveries that this worker has leased, or is about to. */
  get claimed(): number {
    return this.#bounds.maxConcurrency - this.#freeSlots + PREFETCH_MAX - this.#freePrefetch;
  }

  /** Destinations with claims whose requests have not begun. */
  get waitingDestinations(): string[] {
    return [...this.#lanes.values()].filter(({ ready }) => ready.length > 0).map((lane) => lane.destinationId);
  }

  lane(destinationId: string): Lane | undefined {
    return this.#lanes.get(destinationId);
  }

  /**
   * A ticket that does not fit is dropped, and the lane looks for its delivery in the database.
   *
   * @param isNext others of the lane may wait for this delivery in their order
   */
  offer(ticket: Ticket, isNext = false): void {
    const lane = this.#laneOf(ticket);
    if (lane === undefined) {
      return;
    }
    if (lane.addTicket(ticket, this.#tickets < TICKETS_MAX, isNext)) {
      this.#tickets += 1;
    } else {
      lane.lookInStore('fresh');
    }
    this.#update(lane);
  }

  /**
   * The database has due deliveries for this destination, or may have.
   *
   * @param rewind they may have been due before those that were claimed last. Looking there costs more: on PostgreSQL
   * that is where the dead rows are.
   */
  offerLane(reference: TicketLane, priority: Priority, rewind: boolean): void {
    const lane = this.#laneOf(reference);
    if (lane !== undefined) {
      lane.mustRewind ||= rewind;
      lane.lookInStore(priority);
      this.#update(lane);
    }
  }

  /** @param lost the lowest lost count of the destination's deliveries whose worker died, before that death */
  offerLost(reference: TicketLane, lost: number): void {
    const lane = this.#laneOf(reference);
    if (lane !== undefined) {
      lane.lost = Math.min(lane.lost ?? lost, lost);
      this.#update(lane);
    }
  }

  /** @param now on the monotonic clock */
  pick(now: number): Picks {
    const rescues = this.#takeRescues();
    const tickets: TicketPick[] = [];
    const wanted = new Map<Lane, number>();
    const claimOne = (lane: Lane): void => {
      const ticket = lane.takeTicket();
      if (ticket === undefined) {
        wanted.set(lane, (wanted.get(lane) ?? 0) + 1);
      } else {
        this.#tickets -= 1;
        tickets.push({ lane, ticket });
      }
      this.#claimingOne(lane);
    };
    const heldBack = this.#bursts.heldBack(now, this.#bounds.maxConcurrency - this.#freeSlots, this.#freeSlots);
    const next = (): Lane | undefined => this.#accounts.next(this.#freeSlots - heldBack);
    for (let lane = next(); lane !== undefined; lane = next()) {
      claimOne(lane);
    }
    for (const lane of this.#full) {
      while (lane.priority !== undefined && this.#freePrefetch > 0 && lane.mayPrefetch(now)) {
        claimOne(lane);
      }
    }
    const lookUps = Array.from(wanted, ([lane, limit]) => ({ lane, limit }));
    for (const { lane } of lookUps) {
      lane.beginLookUp();
      this.#update(lane);
    }
    const heldBackFor = heldBack > 0 && this.#accounts.areWaiting ? this.#bursts.nextIn(now) : undefined;
    return { tickets, lookUps, rescues, heldBackFor };
  }

  /**
   * @param lastDueAt the due time of the last delivery that a look-up found; `undefined` when it found fewer than its
   * limit, so that there are no more
   */
  lookedUp(lane: Lane, lastDueAt: number | undefined): void {
    lane.endLookUp(lastDueAt);
    if (lastDueAt !== undefined) {
      this.#memory.rememberCursor(lane.destinationId, lane.cursor);
    }
    this.#update(lane);
  }

  /** The store has answered whether there is something to rescue. */
  rescued(rescue: Rescue, hasFound: boolean): void {
    this.#lost.answered(rescue, hasFound);
    this.#update(rescue.lane);
  }

  /** A rescued delivery has ended, or has been under way for long enough. */
  rescueEnded(): void {
    this.#lost.ended();
  }

  /** The store has answered a claim; see `Lane.claimAnswered`. @param policy if the answer tells it */
  claimAnswered(
    lane: Lane,
    asked: number,
    found: readonly Leased[],
    policy: EffectivePolicy | undefined = found.at(-1)?.policy,
  ): Leased[] {
    let tooMany: Leased[] = [];
    this.#change(lane, () => {
      const limits = policy === undefined ? lane.limits : this.#memory.learn(lane.destinationId, policy);
      tooMany = lane.claimAnswered(asked, found, limits);
      if (lane.isRated) {
        this.#tickets -= lane.dropTickets();
      }
    });
    return tooMany;
  }

  /** The destination has no rate limit any more. Its other limits come with the next claim. */
  forgetLimits(lane: Lane): void {
    lane.limits = this.#memory.forget(lane.destinationId);
    this.#update(lane);
  }

  /** Nothing is claimed for the lane until it goes on. It takes no slot meanwhile. */
  hold(lane: Lane, isHeld: boolean): void {
    lane.isHeld = isHeld;
    this.#update(lane);
  }

  /** Takes the claim whose request is to begin now; `undefined` when there is none, or no slot for it. */
  begin(lane: Lane, now: number): Leased | undefined {
    if (lane.active >= lane.slotsMax) {
      return undefined;
    }
    const leased = lane.ready.shift();
    if (leased !== undefined) {
      lane.active += 1;
      this.#bursts.begin(leased, now);
    }
    return leased;
  }

  /** The request has ended. */
  end(lane: Lane, leased: Leased, now: number): void {
    this.#bursts.end(leased);
    this.#change(lane, () => {
      lane.active -= 1;
      lane.lastFinishedAt = now;
    });
  }

  /** Takes the claims whose requests have not begun off the lane. */
  takeReady(lane: Lane): Leased[] {
    let taken: Leased[] = [];
    this.#change(lane, () => {
      taken = lane.ready.splice(0);
    });
    return taken;
  }

  /** Forgets everything that is not claimed yet. The database has it. */
  clear(): void {
    for (const lane of this.#lanes.values()) {
      lane.clear();
      this.#update(lane);
    }
    this.#tickets = 0;
  }

  /** Every change of the number of a lane's claims goes through here, so that the slots are counted. */
  #change(lane: Lane, change: () => void): void {
    const { slots, prefetched } = lane;
    change();
    this.#freeSlots -= lane.slots - slots;
    this.#freePrefetch -= lane.prefetched - prefetched;
    this.#accounts.of(lane.accountId).slots += lane.slots - slots;
    this.#update(lane);
  }

  #claimingOne(lane: Lane): void {
    this.#change(lane, () => {
      lane.claiming += 1;
    });
  }

  /** Moves the lane to the sets it belongs to, or drops it when nothing is left of it. */
  #update(lane: Lane): void {
    const account = this.#accounts.of(lane.accountId);
    const { priority, hasSlot } = lane;
    setMember(account.waiting.fresh, lane, hasSlot && priority === 'fresh');
    setMember(account.waiting.retries, lane, hasSlot && priority === 'retries');
    setMember(this.#full, lane, !hasSlot && priority !== undefined);
    this.#lost.update(lane);
    // A dropped lane may still be in the hands of the dispatcher, and must not be counted off twice.
    if (lane.isIdle && this.#lanes.get(lane.destinationId) === lane) {
      this.#lanes.delete(lane.destinationId);
      account.lanes -= 1;
    }
    this.#accounts.update(account);
  }

  #takeRescues(): Rescue[] {
    const rescues: Rescue[] = [];
    while (this.#freeSlots > 0) {
      const rescue = this.#lost.next();
      if (rescue === undefined) {
        break;
      }
      rescues.push(rescue);
      this.#claimingOne(rescue.lane);
    }
    return rescues;
  }

  #laneOf(reference: TicketLane): Lane | undefined {
    const known = this.#lanes.get(reference.destinationId);
    if (known !== undefined || this.#lanes.size >= LANES_MAX) {
      return known;
    }
    const { destinationId } = reference;
    const lane = new Lane(reference, this.#memory.limitsOf(destinationId), this.#memory.cursorOf(destinationId));
    this.#lanes.set(lane.destinationId, lane);
    this.#accounts.of(lane.accountId).lanes += 1;
    return lane;
  }
}
