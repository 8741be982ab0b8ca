import type { Ticket } from '../core/ticket.ts';
import { Lane } from './lane.ts';
import { type Bounds, type Taken, Turn } from './turn.ts';

/** Tickets a worker holds in memory; the rest waits in the database. */
const TICKETS_MAX = 16_384;
/** Of first attempts, and as many of retries. */
const TICKETS_PER_LANE_MAX = 512;
/** Every lane may hold so many, however full the others are: nobody is locked out by destinations that hang. */
const TICKETS_PER_LANE_ALWAYS = 16;
/** A lane that was full is filled up again when no more than these are left. */
const REFILL_BELOW = 128;

/** Keeps the lanes of all destinations, by account. Pure bookkeeping: no clock, no I/O. */
export class Lanes {
  readonly #bounds: Bounds;
  readonly #lanes = new Map<string, Lane>();
  /** Accounts, and the lanes of each, in the order in which they were served last. */
  readonly #accounts = new Map<string, Set<Lane>>();
  /** The last ticket that was offered for each delivery that has one here. */
  readonly #held = new Map<string, Ticket>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#lanes.size;
  }

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  of(owner: Pick<Ticket, 'destinationId' | 'accountId'>): Lane {
    let lane = this.#lanes.get(owner.destinationId);
    if (lane === undefined) {
      lane = new Lane(owner);
      this.#lanes.set(lane.destinationId, lane);
      this.#putLast(lane);
    }
    return lane;
  }

  /** @returns false when there is no room for the ticket; the database keeps it in any case. */
  offer(ticket: Ticket): boolean {
    if (this.#held.has(ticket.deliveryId)) {
      this.#held.set(ticket.deliveryId, ticket);
      return true;
    }
    const lane = this.of(ticket);
    const tickets = lane.ticketsLike(ticket);
    if (!this.#hasRoom(tickets)) {
      lane.hasMoreInStore = true;
      return false;
    }
    tickets.push(ticket);
    this.#held.set(ticket.deliveryId, ticket);
    return true;
  }

  /** The tickets to claim now, until slots or tickets run out. */
  takeTurn(now: number): Taken[] {
    const taken = [...new Turn(this.#accounts.values(), this.#bounds, now).taken()];
    for (const { lane } of taken) {
      this.#putLast(lane);
    }
    return taken;
  }

  /** Lanes that had more than they could hold, and have room again. */
  toRefill(): Lane[] {
    return [...this.#lanes.values()].filter(
      (lane) => lane.hasMoreInStore && !lane.refilling && lane.waiting <= REFILL_BELOW && this.#hasRoom(lane.retries),
    );
  }

  static readonly refillLimit = TICKETS_PER_LANE_MAX;

  /**
   * The claim was answered: from now on the lease, not the ticket, keeps the delivery from being offered again.
   *
   * @returns a ticket for the same delivery that has come since.
   */
  forget(ticket: Ticket): Ticket | undefined {
    const last = this.#held.get(ticket.deliveryId);
    this.#held.delete(ticket.deliveryId);
    return last === ticket ? undefined : last;
  }

  dropIfIdle(lane: Lane): void {
    // An exchange of a lane that was dropped may end when its destination has another lane already.
    if (lane.isIdle && this.#lanes.get(lane.destinationId) === lane) {
      this.#lanes.delete(lane.destinationId);
      const siblings = this.#accounts.get(lane.accountId);
      siblings?.delete(lane);
      if (siblings?.size === 0) {
        this.#accounts.delete(lane.accountId);
      }
    }
  }

  /** @returns the tickets that nobody will use now. */
  clearTickets(): Ticket[] {
    const unused: Ticket[] = [];
    for (const lane of this.#lanes.values()) {
      unused.push(...lane.fresh.splice(0), ...lane.retries.splice(0));
      lane.hasMoreInStore = false;
    }
    this.#held.clear();
    return unused;
  }

  /** Lanes that a sweep need not bring anything for; they ask for more when they run low. */
  full(): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.hasMoreInStore && lane.waiting > REFILL_BELOW);
  }

  #hasRoom(tickets: readonly Ticket[]): boolean {
    return (
      tickets.length < TICKETS_PER_LANE_ALWAYS ||
      (tickets.length < TICKETS_PER_LANE_MAX && this.#held.size < TICKETS_MAX)
    );
  }

  #putLast(lane: Lane): void {
    const siblings = this.#accounts.get(lane.accountId) ?? new Set();
    siblings.delete(lane);
    siblings.add(lane);
    this.#accounts.delete(lane.accountId);
    this.#accounts.set(lane.accountId, siblings);
  }
}
