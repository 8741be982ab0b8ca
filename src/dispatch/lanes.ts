import type { Ticket, TicketLane } from '../core/delivery.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';
import { move } from './account-rotation.ts';

/** First attempts go before retries, so that what fails does not hold up what may succeed. */
export type Line = 'fresh' | 'retries';

/** A claim that waits for its slot. */
export interface Leased {
  readonly delivery: ClaimedDelivery;
  /** On the monotonic clock, in milliseconds. */
  readonly until: number;
  /** Called when the request has ended. */
  readonly onEnd?: () => void;
}

/** What the store has answered. */
export interface Claims extends Omit<Leased, 'delivery'> {
  readonly asked: number;
  readonly found: readonly (ClaimedDelivery | undefined)[];
  /** Of the lane, when the store was asked. */
  readonly withdrawals: number;
}

/** What a worker holds for one destination: tickets to claim, claims to send, requests under way. */
export class Lane implements TicketLane {
  readonly destinationId: string;
  readonly accountId: string;
  /** Tickets that wait to be claimed. */
  readonly tickets: Readonly<Record<Line, Ticket[]>> = { fresh: [], retries: [] };
  /** Set while the database may have deliveries that there is no ticket for; says in which line they stand. */
  inStore: Line | undefined;
  /** Nothing in the database was due before; see `LaneClaimRequest`. */
  from = 0;
  /** One look-up at a time. */
  isLookingUp = false;
  /** Something has come since the look-up under way began. */
  mustLookAgain = false;
  /** The next look-up begins at the oldest. */
  mustRewind = false;
  /** Set while there are deliveries whose worker has died: what the least of them has counted before. */
  lost: number | undefined;
  /** One of them is asked for at this moment. */
  isRescuing = false;
  /** Claimed ahead of their turn, so that a slot that falls free is filled without waiting for a commit. */
  readonly ready: Leased[] = [];
  /** Requests under way. */
  active = 0;
  /** Claims asked of the store and not answered yet. */
  claiming = 0;
  /** How often it was said that the destination gets nothing any more; what was claimed before is not sent. */
  withdrawals = 0;
  /** When a request of this lane last ended, on the monotonic clock. */
  lastFinishedAt = Number.NEGATIVE_INFINITY;

  constructor({ destinationId, accountId }: TicketLane) {
    this.destinationId = destinationId;
    this.accountId = accountId;
  }

  /** Deliveries this worker has leased, or is about to. */
  get claimed(): number {
    return this.active + this.ready.length + this.claiming;
  }

  /** The line in which the lane can be served next. */
  get line(): Line | undefined {
    const canLookUp = this.inStore !== undefined && !this.isLookingUp;
    if (this.tickets.fresh.length > 0 || (canLookUp && this.inStore === 'fresh')) {
      return 'fresh';
    }
    return this.tickets.retries.length > 0 || canLookUp ? 'retries' : undefined;
  }

  get isIdle(): boolean {
    return (
      this.claimed === 0 && this.line === undefined && this.lost === undefined && !this.isRescuing && !this.isLookingUp
    );
  }
}

/** Deliveries whose worker has died that may be under way at the same time. */
const UNDER_WAY_MAX = 8;

/** One delivery of a lane whose worker has died. */
export interface Rescue {
  readonly lane: Lane;
  /** It may have been lost more than once. */
  readonly isAlone: boolean;
}

/**
 * Lanes with deliveries whose worker has died. A few of those that were lost once are tried at the same time, and
 * then those that were lost again, one by one. So a delivery that ends its worker is found out and takes no other
 * along, and what was under way when somebody killed the process is not blamed for it.
 */
export class LostLanes {
  readonly #once = new Set<Lane>();
  readonly #again = new Set<Lane>();
  #underWay = 0;

  /** Puts the lane where it belongs. */
  place(lane: Lane, hasSlot: boolean): void {
    const canAsk = hasSlot && !lane.isRescuing && lane.lost !== undefined;
    move(this.#once, lane, canAsk && lane.lost === 0);
    move(this.#again, lane, canAsk && lane.lost !== 0);
  }

  /** What is to be asked for next; `undefined` when that is nothing at this moment. Lanes take turns. */
  next(): Rescue | undefined {
    const isAlone = this.#once.size === 0;
    const lane = isAlone ? leastLost(this.#again) : this.#once.values().next().value;
    if (lane === undefined || this.#underWay >= (isAlone ? 1 : UNDER_WAY_MAX)) {
      return undefined;
    }
    lane.isRescuing = true;
    this.#underWay += 1;
    return { lane, isAlone };
  }

  /** The store has answered; the lane is to be placed anew, and may be asked for another. */
  answered({ lane, isAlone }: Rescue, hasFound: boolean): void {
    lane.isRescuing = false;
    if (!hasFound && lane.lost !== undefined) {
      lane.lost = isAlone ? undefined : Math.max(lane.lost, 1);
    }
  }

  /** It has come to its end, or has been under way for long enough. */
  ended(): void {
    this.#underWay -= 1;
  }
}

/** What was lost least is the least likely to end this worker too. */
function leastLost(lanes: Iterable<Lane>): Lane | undefined {
  let least: Lane | undefined;
  for (const lane of lanes) {
    least = least === undefined || (lane.lost ?? 0) < (least.lost ?? 0) ? lane : least;
  }
  return least;
}
