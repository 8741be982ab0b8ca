import { RecentMap } from '../core/recent-map.ts';
import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';
import { AccountRotation, move } from './account-rotation.ts';
import { Lane, type Leased, type Line, LostLanes, type Rescue } from './lanes.ts';
import { RecentRequests } from './recent-requests.ts';

/** Tickets a worker holds in memory; about 3 MB. What does not fit is looked up in the database. */
const TICKETS_MAX = 16_384;
const TICKETS_PER_LANE_MAX = 512;
/** Every lane may hold so many, however full the others are. */
const TICKETS_PER_LANE_ALWAYS = 16;
/** About 20 MB. Destinations beyond are found again by the sweeper. */
const LANES_MAX = 50_000;
/** Destinations whose place is remembered. About 2 MB. */
const PLACES_MAX = 10_000;
/**
 * A delivery is committed a little later than it is due, so that another may have been claimed before that is due
 * later. What is older still is found by the sweeper.
 */
const COMMITTED_WITHIN_MS = 250;
/** Claims made ahead of a free slot, for one lane and for all. */
const AHEAD_PER_LANE_MAX = 32;
const AHEAD_MAX = 128;
/** Only a lane that has lately finished something gets claims ahead; one that hangs would just sit on them. */
const AHEAD_IF_FINISHED_WITHIN_MS = 1_000;
/**
 * This share of the slots is for accounts that hold no more than it: one whose destinations all hang cannot
 * take every slot there is.
 */
const RESERVED_SHARE = 1 / 8;

export interface Bounds {
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
  /** Threads that send. */
  readonly threads: number;
}

/** What to claim now. */
export interface Picks {
  readonly tickets: readonly { readonly lane: Lane; readonly ticket: Ticket }[];
  /** Deliveries that are looked up in the database. */
  readonly lookUps: readonly { readonly lane: Lane; readonly limit: number }[];
  /** Deliveries whose worker has died. */
  readonly rescues: readonly Rescue[];
  /** Milliseconds until more may begin; `undefined` when nothing is held back. */
  readonly heldBackFor: number | undefined;
}

/**
 * Hands out the slots: accounts take turns, one delivery each, and within an account its destinations do. Pure
 * bookkeeping, without a clock and without I/O. What it does in a turn grows with the slots it hands out, and not
 * with what waits: lanes move between lists when something happens to them, and nothing looks at all of them.
 */
export class Scheduler {
  readonly #bounds: Bounds;
  readonly #accounts: AccountRotation;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that have all the slots they may have, and more to claim. */
  readonly #full = new Set<Lane>();
  /** Up to where each destination's deliveries were claimed in the order of their due times. */
  readonly #places = new RecentMap<string, number>(PLACES_MAX);
  readonly #lost = new LostLanes();
  readonly requests: RecentRequests;
  #tickets = 0;
  #slots: number;
  #ahead = AHEAD_MAX;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#slots = bounds.maxConcurrency;
    const reserved = Math.floor(bounds.maxConcurrency * RESERVED_SHARE);
    this.#accounts = new AccountRotation(reserved);
    this.requests = new RecentRequests(bounds.threads, reserved);
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values();
  }

  /** Deliveries that this worker has leased, or is about to. */
  get claimed(): number {
    return this.#bounds.maxConcurrency - this.#slots + AHEAD_MAX - this.#ahead;
  }

  /** Destinations for which something was claimed that has not begun. */
  get aheadOf(): string[] {
    return [...this.#lanes.values()].filter(({ ready }) => ready.length > 0).map((lane) => lane.destinationId);
  }

  lane(destinationId: string): Lane | undefined {
    return this.#lanes.get(destinationId);
  }

  /** A ticket that finds no room is dropped: the database has its delivery, and the lane looks there. */
  offer(ticket: Ticket): void {
    const lane = this.#laneOf(ticket);
    if (lane === undefined) {
      return;
    }
    const line = lane.tickets[ticket.attempt === 0 ? 'fresh' : 'retries'];
    if (lane.inStore === undefined && this.#hasRoom(line)) {
      line.push(ticket);
      this.#tickets += 1;
      this.#update(lane);
    } else {
      this.#lookInStore(lane, 'fresh');
    }
  }

  /**
   * The database has something due for this destination, or may have.
   *
   * @param isAnywhere it may be older than what was claimed last. Looking there costs more: on PostgreSQL it is
   * where the dead rows are.
   */
  offerLane(reference: TicketLane, line: Line, isAnywhere: boolean): void {
    const lane = this.#laneOf(reference);
    if (lane !== undefined) {
      lane.mustRewind ||= isAnywhere;
      this.#lookInStore(lane, line);
    }
  }

  /** @param lost what the lost attempts of a delivery have counted before whose worker has died now, the least */
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
    const tickets: { lane: Lane; ticket: Ticket }[] = [];
    const wanted = new Map<Lane, number>();
    const claimOne = (lane: Lane, line: Line): void => {
      const ticket = lane.tickets[line].shift();
      if (ticket === undefined) {
        wanted.set(lane, (wanted.get(lane) ?? 0) + 1);
      } else {
        this.#tickets -= 1;
        tickets.push({ lane, ticket });
      }
      this.count(lane, () => {
        lane.claiming += 1;
      });
    };
    const heldBack = this.requests.heldBack(now, this.#bounds.maxConcurrency - this.#slots, this.#slots);
    const next = (): Lane | undefined => this.#accounts.next(this.#slots - heldBack);
    for (let lane = next(); lane !== undefined; lane = next()) {
      claimOne(lane, lane.line as Line);
    }
    for (const lane of this.#full) {
      while (lane.line !== undefined && this.#mayGoAhead(lane, now)) {
        claimOne(lane, lane.line);
      }
    }
    const lookUps = Array.from(wanted, ([lane, limit]) => ({ lane, limit }));
    for (const { lane } of lookUps) {
      lane.isLookingUp = true;
      lane.mustLookAgain = false;
      lane.from = lane.mustRewind ? 0 : lane.from;
      lane.mustRewind = false;
      this.#update(lane);
    }
    const heldBackFor = heldBack > 0 && this.#accounts.areWaiting ? this.requests.nextIn(now) : undefined;
    return { tickets, lookUps, rescues, heldBackFor };
  }

  /** The store has answered whether there is something to rescue. */
  rescued(rescue: Rescue, hasFound: boolean): void {
    this.#lost.answered(rescue, hasFound);
    this.#update(rescue.lane);
  }

  /** What was rescued has come to its end, or has been under way for long enough. */
  rescueEnded(): void {
    this.#lost.ended();
  }

  /** Every change of what a lane has under way is made through here, so that the slots are counted. */
  count(lane: Lane, change: () => void): void {
    const before = lane.claimed;
    change();
    const { maxConcurrencyPerDestination: most } = this.#bounds;
    const slots = Math.min(lane.claimed, most) - Math.min(before, most);
    this.#slots -= slots;
    this.#ahead -= lane.claimed - before - slots;
    this.#accounts.of(lane.accountId).held += slots;
    this.#update(lane);
  }

  /** Takes off the lane what was claimed and has not begun. */
  takeReady(lane: Lane): ClaimedDelivery[] {
    let taken: Leased[] = [];
    this.count(lane, () => {
      taken = lane.ready.splice(0);
    });
    return taken.map(({ delivery }) => delivery);
  }

  /**
   * @param lastDueAt of the last delivery that a look-up has found; `undefined` when it has found fewer than it was
   * asked for, so that there are no more.
   */
  lookedUp(lane: Lane, lastDueAt: number | undefined): void {
    lane.isLookingUp = false;
    if (lastDueAt !== undefined) {
      lane.from = Math.max(lane.from, lastDueAt - COMMITTED_WITHIN_MS);
      this.#places.set(lane.destinationId, lane.from);
    } else if (!lane.mustLookAgain) {
      lane.inStore = undefined;
    }
    this.#update(lane);
  }

  /** Forgets what waits; the database knows better. */
  clear(): void {
    for (const lane of this.#lanes.values()) {
      lane.tickets.fresh.length = 0;
      lane.tickets.retries.length = 0;
      lane.inStore = undefined;
      lane.lost = undefined;
      this.#update(lane);
    }
    this.#tickets = 0;
  }

  /** Puts the lane where it belongs, or drops it when nothing is left of it. */
  #update(lane: Lane): void {
    const account = this.#accounts.of(lane.accountId);
    const { line } = lane;
    const hasSlot = lane.claimed < this.#bounds.maxConcurrencyPerDestination;
    move(account.waiting.fresh, lane, hasSlot && line === 'fresh');
    move(account.waiting.retries, lane, hasSlot && line === 'retries');
    move(this.#full, lane, !hasSlot && line !== undefined);
    this.#lost.place(lane, hasSlot);
    // One that was dropped may still be held by who ended its last request, and must not be counted off again.
    if (lane.isIdle && this.#lanes.get(lane.destinationId) === lane) {
      this.#lanes.delete(lane.destinationId);
      account.lanes -= 1;
    }
    this.#accounts.place(account);
  }

  #takeRescues(): Rescue[] {
    const rescues: Rescue[] = [];
    while (this.#slots > 0) {
      const rescue = this.#lost.next();
      if (rescue === undefined) {
        break;
      }
      const { lane } = rescue;
      rescues.push(rescue);
      this.count(lane, () => {
        lane.claiming += 1;
      });
    }
    return rescues;
  }

  #laneOf(reference: TicketLane): Lane | undefined {
    const known = this.#lanes.get(reference.destinationId);
    if (known !== undefined || this.#lanes.size >= LANES_MAX) {
      return known;
    }
    const lane = new Lane(reference);
    lane.from = this.#places.get(lane.destinationId) ?? 0;
    this.#lanes.set(lane.destinationId, lane);
    this.#accounts.of(lane.accountId).lanes += 1;
    return lane;
  }

  #lookInStore(lane: Lane, line: Line): void {
    lane.inStore = lane.inStore === 'fresh' ? 'fresh' : line;
    lane.mustLookAgain = true;
    this.#update(lane);
  }

  #hasRoom(line: readonly Ticket[]): boolean {
    return line.length < TICKETS_PER_LANE_ALWAYS || (line.length < TICKETS_PER_LANE_MAX && this.#tickets < TICKETS_MAX);
  }

  #mayGoAhead(lane: Lane, now: number): boolean {
    return (
      this.#ahead > 0 &&
      lane.claimed < this.#bounds.maxConcurrencyPerDestination + AHEAD_PER_LANE_MAX &&
      now - lane.lastFinishedAt < AHEAD_IF_FINISHED_WITHIN_MS
    );
  }
}
