import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { Leased } from './deliver.ts';
import type { LaneLimits } from './lane-memory.ts';

/** First attempts go before retries, so that failing deliveries do not hold up the others. */
export type Priority = 'fresh' | 'retries';

/**
 * A delivery is committed a little after its due time, so one that was due later may have been claimed before it. The
 * sweeper finds those that are older still.
 */
const COMMITTED_WITHIN_MS = 250;
const TICKETS_PER_LANE_MAX = 512;
/** Every lane may hold this many of each priority, even when the scheduler holds all the tickets it may. */
const TICKETS_PER_LANE_ALWAYS = 16;
/** Claims of one lane beyond its slots. */
const PREFETCH_PER_LANE_MAX = 32;
/** Only a lane that finished a request lately claims in advance. One that hangs would keep the claims unused. */
const PREFETCH_IF_FINISHED_WITHIN_MS = 1_000;

/**
 * Everything that a worker holds for one destination: tickets to claim, claims to send, requests under way. What
 * applies to a single destination belongs here; the bounds of all destinations together are the scheduler's.
 */
export class Lane implements TicketLane {
  readonly destinationId: string;
  readonly accountId: string;
  /** Changes with what claims tell of the destination's policy. */
  limits: LaneLimits;
  /** Tickets that wait to be claimed. */
  readonly tickets: Readonly<Record<Priority, Ticket[]>> = { fresh: [], retries: [] };
  /** Set while the database may have due deliveries that there is no ticket for. */
  inStore: Priority | undefined;
  /** Look-ups begin at this due time; see `LaneClaimRequest`. */
  cursor: number;
  /** There is one look-up at a time. */
  isLookingUp = false;
  /** More deliveries have come since the look-up under way began. */
  mustLookAgain = false;
  /** The next look-up begins at the oldest delivery. */
  mustRewind = false;
  /** Set while there are deliveries whose worker died: the lowest of their lost counts before that death. */
  lost: number | undefined;
  /** A lost delivery is being claimed. */
  isRescuing = false;
  /** Claims that wait for a slot. Some are made in advance, so that a free slot need not wait for a commit. */
  readonly ready: Leased[] = [];
  /** Requests under way. */
  active = 0;
  /** Deliveries asked of the store, without an answer yet. */
  claiming = 0;
  /** Counts how often the destination was withdrawn. Claims made before the last time are not sent. */
  withdrawals = 0;
  /** False once the destination was disabled, which may not be committed yet: what is given back then waits. */
  isEnabled = true;
  /** When a request last ended, on the monotonic clock. */
  lastFinishedAt = Number.NEGATIVE_INFINITY;
  /** True until the destination's rate limit allows the next attempt. Nothing is claimed meanwhile. */
  isHeld = false;
  /** The limit has become lower, and claims of before are not answered yet. */
  #isShedding = false;

  constructor({ destinationId, accountId }: TicketLane, limits: LaneLimits, cursor: number) {
    this.destinationId = destinationId;
    this.accountId = accountId;
    this.limits = limits;
    this.cursor = cursor;
  }

  /** Requests to this destination that may be under way at the same time. */
  get slotsMax(): number {
    return this.limits.slotsMax;
  }

  /** Rate limits are kept by the database, and by rated claims only. */
  get isRated(): boolean {
    return this.limits.burst !== undefined;
  }

  /** Another delivery may be claimed for a slot. */
  get hasSlot(): boolean {
    const { burst, slotsMax } = this.limits;
    return this.claimed < slotsMax && (burst === undefined || this.claiming < burst);
  }

  /** Deliveries this worker has leased, or is about to. */
  get claimed(): number {
    return this.active + this.ready.length + this.claiming;
  }

  /** Slots it holds. */
  get slots(): number {
    return Math.min(this.claimed, this.slotsMax);
  }

  /** Claims beyond its slots. */
  get prefetched(): number {
    return this.claimed - this.slots;
  }

  /** The priority of what can be claimed next; `undefined` when there is nothing. */
  get priority(): Priority | undefined {
    if (this.isHeld) {
      return undefined;
    }
    const canLookUp = this.inStore !== undefined && !this.isLookingUp;
    if (this.tickets.fresh.length > 0 || (canLookUp && this.inStore === 'fresh')) {
      return 'fresh';
    }
    return this.tickets.retries.length > 0 || canLookUp ? 'retries' : undefined;
  }

  get isIdle(): boolean {
    return (
      this.claimed === 0 &&
      this.priority === undefined &&
      this.lost === undefined &&
      !this.isHeld &&
      !this.isRescuing &&
      !this.isLookingUp
    );
  }

  mayPrefetch(now: number): boolean {
    return (
      !this.isRated &&
      !this.#isShedding &&
      this.prefetched < PREFETCH_PER_LANE_MAX &&
      now - this.lastFinishedAt < PREFETCH_IF_FINISHED_WITHIN_MS
    );
  }

  /**
   * @param asked the number of deliveries that the store was asked for
   * @returns the claims to give back, because the destination allows fewer than was thought when they were asked for
   */
  claimAnswered(asked: number, found: readonly Leased[], limits: LaneLimits): Leased[] {
    this.claiming -= asked;
    this.ready.push(...found);
    this.#isShedding ||= limits.slotsMax < this.slotsMax;
    this.limits = limits;
    const tooMany = this.#isShedding ? this.ready.splice(Math.max(this.slotsMax - this.active, 0)) : [];
    this.#isShedding &&= this.claiming > 0;
    return tooMany;
  }

  /**
   * While the lane looks in the database it takes no tickets, so that the oldest deliveries go first. A rated lane does
   * nothing else.
   *
   * @returns false when the ticket does not fit
   */
  addTicket(ticket: Ticket, hasRoom: boolean, isNext = false): boolean {
    const tickets = this.tickets[ticket.attempt === 0 ? 'fresh' : 'retries'];
    const max = hasRoom ? TICKETS_PER_LANE_MAX : TICKETS_PER_LANE_ALWAYS;
    const fits = this.inStore === undefined && !this.isRated && tickets.length < max;
    if (fits && isNext) {
      tickets.unshift(ticket);
    } else if (fits) {
      tickets.push(ticket);
    }
    return fits;
  }

  /** The database has their deliveries. @returns how many there were */
  dropTickets(): number {
    const { fresh, retries } = this.tickets;
    const count = fresh.length + retries.length;
    if (count > 0) {
      this.lookInStore(fresh.length > 0 ? 'fresh' : 'retries');
    }
    fresh.length = 0;
    retries.length = 0;
    return count;
  }

  takeTicket(): Ticket | undefined {
    return this.priority && this.tickets[this.priority].shift();
  }

  /** The database has due deliveries, or may have. */
  lookInStore(priority: Priority): void {
    this.inStore = this.inStore === 'fresh' ? 'fresh' : priority;
    this.mustLookAgain = true;
  }

  beginLookUp(): void {
    this.isLookingUp = true;
    this.mustLookAgain = false;
    this.cursor = this.mustRewind ? 0 : this.cursor;
    this.mustRewind = false;
  }

  /** @param lastDueAt see `Scheduler.lookedUp` */
  endLookUp(lastDueAt: number | undefined): void {
    this.isLookingUp = false;
    if (lastDueAt !== undefined) {
      this.cursor = Math.max(this.cursor, lastDueAt - COMMITTED_WITHIN_MS);
    } else if (!this.mustLookAgain) {
      this.inStore = undefined;
    }
  }

  /** Forgets what is not claimed yet. */
  clear(): void {
    this.tickets.fresh.length = 0;
    this.tickets.retries.length = 0;
    this.inStore = undefined;
    this.lost = undefined;
  }
}

/** Rescued deliveries that may be under way at the same time. */
const RESCUES_MAX = 8;

/** One delivery of a lane whose worker died. */
export interface Rescue {
  readonly lane: Lane;
  /** No other rescue is under way, because the delivery may have been lost more than once. */
  readonly isAlone: boolean;
}

/**
 * Lanes with deliveries whose worker died. Deliveries that were lost once are tried a few at a time. After them,
 * those that were lost again are tried one by one. So a delivery that kills its worker is found out without taking
 * others along, and deliveries that were merely under way when a process was killed are not blamed.
 */
export class LostLanes {
  readonly #once = new Set<Lane>();
  readonly #again = new Set<Lane>();
  #underWay = 0;

  /** Must be called when the lane has changed. */
  update(lane: Lane): void {
    const canClaim = lane.hasSlot && !lane.isHeld && !lane.isRescuing && lane.lost !== undefined;
    setMember(this.#once, lane, canClaim && lane.lost === 0);
    setMember(this.#again, lane, canClaim && lane.lost !== 0);
  }

  /** The next rescue, if one may begin now. */
  next(): Rescue | undefined {
    const isAlone = this.#once.size === 0;
    const lane = isAlone ? leastLost(this.#again) : this.#once.values().next().value;
    if (lane === undefined || this.#underWay >= (isAlone ? 1 : RESCUES_MAX)) {
      return undefined;
    }
    lane.isRescuing = true;
    this.#underWay += 1;
    return { lane, isAlone };
  }

  /** The store has answered. `update` must follow. */
  answered({ lane, isAlone }: Rescue, hasFound: boolean): void {
    lane.isRescuing = false;
    if (!hasFound && lane.lost !== undefined) {
      lane.lost = isAlone ? undefined : Math.max(lane.lost, 1);
    }
  }

  /** A rescue has ended, or has been under way for long enough. */
  ended(): void {
    this.#underWay -= 1;
  }
}

/** The delivery that was lost least is the least likely to kill this worker too. */
function leastLost(lanes: Iterable<Lane>): Lane | undefined {
  let least: Lane | undefined;
  for (const lane of lanes) {
    least = least === undefined || (lane.lost ?? 0) < (least.lost ?? 0) ? lane : least;
  }
  return least;
}

/** Adds or removes. A member that stays keeps its position. */
export function setMember<Member>(set: Set<Member>, member: Member, belongs: boolean): void {
  if (belongs) {
    set.add(member);
  } else {
    set.delete(member);
  }
}
