import type { Ticket } from '../core/ticket.ts';
import { Lane } from './lane.ts';

/** Tickets a worker holds in memory; the rest waits in the database. */
const TICKETS_MAX = 16_384;
const TICKETS_PER_LANE_MAX = 512;
/** Every lane may hold so many, however full the others are: nobody is locked out by destinations that hang. */
const TICKETS_PER_LANE_ALWAYS = 16;
/** A lane that was full is filled up again when no more than these are left. */
const REFILL_BELOW = 128;

/** Claims made ahead of a free slot, for one lane and for all. */
const AHEAD_PER_LANE_MAX = 32;
const AHEAD_MAX = 128;
/** Only a lane that has lately finished something gets claims ahead; one that hangs would just sit on them. */
const AHEAD_IF_FINISHED_WITHIN_MS = 1_000;

export interface Bounds {
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
}

/** Keeps the lanes of all destinations, and decides whose turn it is. Pure bookkeeping: no clock, no I/O. */
export class Lanes {
  readonly #bounds: Bounds;
  readonly #lanes = new Map<string, Lane>();
  readonly #held = new Set<string>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#lanes.size;
  }

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  of(destinationId: string): Lane {
    let lane = this.#lanes.get(destinationId);
    if (lane === undefined) {
      lane = new Lane(destinationId);
      this.#lanes.set(destinationId, lane);
    }
    return lane;
  }

  /** Takes the ticket in, unless it is held already or there is no room; the database keeps it in any case. */
  offer(ticket: Ticket): void {
    if (this.#held.has(ticket.deliveryId)) {
      return;
    }
    const lane = this.of(ticket.destinationId);
    if (!this.#hasRoom(lane)) {
      lane.hasMoreInStore = true;
      return;
    }
    lane.tickets.push(ticket);
    this.#held.add(ticket.deliveryId);
  }

  /** The tickets to claim now: one of each lane in turn, until slots or tickets run out. */
  takeTurn(now: number): { lane: Lane; ticket: Ticket }[] {
    const { maxConcurrency, maxConcurrencyPerDestination } = this.#bounds;
    let slots = maxConcurrency;
    let ahead = AHEAD_MAX;
    const waiting: Lane[] = [];
    for (const lane of this.#lanes.values()) {
      slots -= Math.min(lane.claimed, maxConcurrencyPerDestination);
      ahead -= Math.max(lane.claimed - maxConcurrencyPerDestination, 0);
      if (lane.tickets.length > 0) {
        waiting.push(lane);
      }
    }
    const taken: { lane: Lane; ticket: Ticket }[] = [];
    for (let queue = waiting; queue.length > 0; ) {
      queue = queue.filter((lane) => {
        const withinSlots = lane.claimed < maxConcurrencyPerDestination && slots > 0;
        const mayGoAhead = lane.claimed >= maxConcurrencyPerDestination && ahead > 0 && this.#isFlowing(lane, now);
        const ticket = withinSlots || mayGoAhead ? lane.tickets.shift() : undefined;
        if (ticket === undefined) {
          return false;
        }
        lane.claiming += 1;
        slots -= withinSlots ? 1 : 0;
        ahead -= withinSlots ? 0 : 1;
        taken.push({ lane, ticket });
        return true;
      });
    }
    this.#rotate();
    return taken;
  }

  /** Lanes that had more than they could hold, and have room again. */
  toRefill(): Lane[] {
    return [...this.#lanes.values()].filter(
      (lane) => lane.hasMoreInStore && !lane.refilling && lane.tickets.length <= REFILL_BELOW && this.#hasRoom(lane),
    );
  }

  static readonly refillLimit = TICKETS_PER_LANE_MAX;

  /** The claim was answered: from now on the lease, not the ticket, keeps the delivery from being offered again. */
  forget(deliveryId: string): void {
    this.#held.delete(deliveryId);
  }

  dropIfIdle(lane: Lane): void {
    // An exchange of a lane that was dropped may end when its destination has another lane already.
    if (lane.isIdle && this.#lanes.get(lane.destinationId) === lane) {
      this.#lanes.delete(lane.destinationId);
    }
  }

  /** @returns the tickets that nobody will use now. */
  clearTickets(): Ticket[] {
    const unused = [...this.#lanes.values()].flatMap(({ tickets }) => tickets.splice(0));
    for (const lane of this.#lanes.values()) {
      lane.hasMoreInStore = false;
    }
    this.#held.clear();
    return unused;
  }

  /** Lanes that a sweep need not bring anything for; they ask for more when they run low. */
  full(): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.hasMoreInStore && lane.tickets.length > REFILL_BELOW);
  }

  #hasRoom({ tickets }: Lane): boolean {
    return (
      tickets.length < TICKETS_PER_LANE_ALWAYS ||
      (tickets.length < TICKETS_PER_LANE_MAX && this.#held.size < TICKETS_MAX)
    );
  }

  #isFlowing(lane: Lane, now: number): boolean {
    const limit = this.#bounds.maxConcurrencyPerDestination + AHEAD_PER_LANE_MAX;
    return lane.claimed < limit && now - lane.lastFinishedAt < AHEAD_IF_FINISHED_WITHIN_MS;
  }

  // Whoever was first this time is last the next time.
  #rotate(): void {
    const first = this.#lanes.entries().next().value;
    if (first !== undefined && this.#lanes.size > 1) {
      this.#lanes.delete(first[0]);
      this.#lanes.set(...first);
    }
  }
}
