import { move } from './account-turns.ts';
import type { Lane } from './lane.ts';

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
