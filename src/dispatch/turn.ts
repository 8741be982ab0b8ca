import type { Ticket } from '../core/ticket.ts';
import type { Lane } from './lane.ts';

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
}

export interface Taken {
  readonly lane: Lane;
  readonly ticket: Ticket;
}

/** The lanes of one account that have a ticket, whoever waits longest first. */
interface Place {
  held: number;
  readonly fresh: Lane[];
  readonly retries: Lane[];
}

/**
 * Hands out what slots there are: accounts take turns, one ticket each, and within an account its destinations
 * do. First attempts go before retries, so that what fails does not hold up what may succeed.
 */
export class Turn {
  readonly #bounds: Bounds;
  readonly #now: number;
  readonly #places: Place[];
  #slots: number;
  #ahead = AHEAD_MAX;

  /** @param accounts the lanes of each account, both in the order in which they were served last. */
  constructor(accounts: Iterable<Iterable<Lane>>, bounds: Bounds, now: number) {
    this.#bounds = bounds;
    this.#now = now;
    this.#slots = bounds.maxConcurrency;
    this.#places = Array.from(accounts, (lanes) => this.#seat(lanes));
  }

  *taken(): Generator<Taken> {
    for (let places = this.#places; places.length > 0; ) {
      const served: Place[] = [];
      for (const place of places) {
        const taken = this.#serve(place, place.fresh, 'fresh') ?? this.#serve(place, place.retries, 'retries');
        if (taken !== undefined) {
          served.push(place);
          yield taken;
        }
      }
      places = served;
    }
  }

  #seat(lanes: Iterable<Lane>): Place {
    const { maxConcurrencyPerDestination } = this.#bounds;
    const place: Place = { held: 0, fresh: [], retries: [] };
    for (const lane of lanes) {
      const inSlots = Math.min(lane.claimed, maxConcurrencyPerDestination);
      place.held += inSlots;
      this.#slots -= inSlots;
      this.#ahead -= lane.claimed - inSlots;
      if (lane.fresh.length > 0) {
        place.fresh.push(lane);
      }
      if (lane.retries.length > 0) {
        place.retries.push(lane);
      }
    }
    return place;
  }

  /** A lane that can take nothing now can take nothing for the rest of the turn, and leaves the line. */
  #serve(place: Place, line: Lane[], kind: 'fresh' | 'retries'): Taken | undefined {
    for (let lane = line.shift(); lane !== undefined; lane = line.shift()) {
      const [ticket] = lane[kind];
      if (ticket !== undefined && this.#takeRoom(place, lane)) {
        lane[kind].shift();
        lane.claiming += 1;
        line.push(lane);
        return { lane, ticket };
      }
    }
    return undefined;
  }

  #takeRoom(place: Place, lane: Lane): boolean {
    const { maxConcurrency, maxConcurrencyPerDestination } = this.#bounds;
    if (lane.claimed >= maxConcurrencyPerDestination) {
      const mayGoAhead = this.#ahead > 0 && this.#isFlowing(lane);
      this.#ahead -= mayGoAhead ? 1 : 0;
      return mayGoAhead;
    }
    const reserved = Math.floor(maxConcurrency * RESERVED_SHARE);
    const isFree = this.#slots > (place.held < reserved ? 0 : reserved);
    this.#slots -= isFree ? 1 : 0;
    place.held += isFree ? 1 : 0;
    return isFree;
  }

  #isFlowing(lane: Lane): boolean {
    const limit = this.#bounds.maxConcurrencyPerDestination + AHEAD_PER_LANE_MAX;
    return lane.claimed < limit && this.#now - lane.lastFinishedAt < AHEAD_IF_FINISHED_WITHIN_MS;
  }
}
