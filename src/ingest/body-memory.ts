import type { Holding } from './body.ts';
import { HttpError } from '../access/http-error.ts';

/** All small bodies together that arrive, or are here and wait for their answers. */
const BYTES_MAX = 64 * 1_048_576;

/**
 * Counts the bytes of small bodies as they arrive. They are not made to wait. When there are too many of them, the
 * one that has been arriving for longest is given up: an honest sender's is here within moments, so what is hit is
 * what somebody sends slowly. Bodies that are here whole stay; when there are none but those, the next is refused.
 */
export class SmallBodies {
  readonly #arriving = new Set<SmallBody>();
  #bytes = 0;

  begin(): Holding {
    const body = new SmallBody(
      (change) => this.#count(change),
      () => this.#arriving.delete(body),
    );
    this.#arriving.add(body);
    return body;
  }

  #count(change: number): void {
    this.#bytes += change;
    while (this.#bytes > BYTES_MAX) {
      const [oldest] = this.#arriving;
      if (oldest === undefined) {
        return;
      }
      oldest.free();
      oldest.onTakenBack(HttpError.unavailable());
    }
  }
}

class SmallBody implements Holding {
  onTakenBack: Holding['onTakenBack'] = () => {};
  readonly arrived: () => void;
  readonly #count: (change: number) => void;
  #bytes = 0;

  constructor(count: (change: number) => void, arrived: () => void) {
    this.#count = count;
    this.arrived = arrived;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#count(bytes);
  }

  free(): void {
    this.arrived();
    const bytes = this.#bytes;
    this.#bytes = 0;
    this.#count(-bytes);
  }
}

const MIB = 1_048_576;
/** All large bodies together, from before they are read until they are answered. */
export const LARGE_BYTES_MAX = 96 * MIB;
/** Of one account; the rest is always for others. */
const OWNER_BYTES_MAX = 64 * MIB;
/** Whoever has waited so long for room is refused, while the sender still has time to send. */
const WAIT_MS = 15_000;
/** While others wait, a body must arrive that fast on average, but for a while at its beginning. */
const BYTES_PER_MS_MIN = MIB / 1_000;
const GRACE_MS = 2_000;
const LOOK_EVERY_MS = 500;

export interface RoomRequest {
  /** Whose body it is. */
  readonly owner: string;
  /** What the body may come to take. */
  readonly bytes: number;
}

interface Claimant {
  readonly request: RoomRequest;
  readonly grant: (room: Holding) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Hands out memory for large bodies, in the order in which they are announced.
 *
 * Nobody waits for ever. A body has all the room it may need before its first byte is read, so whoever holds some
 * never waits for more. Each gives it back within a bounded time: a body that arrives too slowly while others wait
 * loses its room, one that is here is answered, and a commit has a time limit of its own. Who waits at the head of
 * the line is passed over only for what its own account holds; if there is too little for all, nobody behind
 * it gets any. A body that is larger than everything there is goes alone.
 */
export class LargeBodies {
  readonly #waiting = new Set<Claimant>();
  readonly #holders = new Set<Room>();
  readonly #bytesOfOwners = new Map<string, number>();
  #bytes = 0;
  #looking: NodeJS.Timeout | undefined;

  /**
   * @param signal ends the wait
   * @throws HttpError 503 when there was no room for too long
   */
  take(request: RoomRequest, signal: AbortSignal): Promise<Holding> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(claimant);
        reject(HttpError.unavailable());
        this.#grantWaiting();
      };
      const claimant: Claimant = { request, grant: resolve, timer: setTimeout(leave, WAIT_MS) };
      this.#waiting.add(claimant);
      signal.addEventListener('abort', leave, { once: true });
      this.#grantWaiting();
    });
  }

  #grantWaiting(): void {
    for (const claimant of this.#waiting) {
      const { owner, bytes } = claimant.request;
      if (this.#bytes > 0 && this.#bytes + bytes > LARGE_BYTES_MAX) {
        break;
      }
      const owned = this.#bytesOfOwners.get(owner) ?? 0;
      if (owned === 0 || owned + bytes <= OWNER_BYTES_MAX) {
        this.#leave(claimant);
        claimant.grant(this.#hold(claimant.request));
      }
    }
    this.#lookWhileOthersWait();
  }

  #leave(claimant: Claimant): void {
    clearTimeout(claimant.timer);
    this.#waiting.delete(claimant);
  }

  #hold(request: RoomRequest): Holding {
    const room = new Room(() => this.#free(room, request));
    this.#holders.add(room);
    this.#count(request.owner, request.bytes);
    return room;
  }

  #free(room: Room, { owner, bytes }: RoomRequest): void {
    if (this.#holders.delete(room)) {
      this.#count(owner, -bytes);
      this.#grantWaiting();
    }
  }

  #count(owner: string, change: number): void {
    this.#bytes += change;
    const owned = (this.#bytesOfOwners.get(owner) ?? 0) + change;
    if (owned > 0) {
      this.#bytesOfOwners.set(owner, owned);
    } else {
      this.#bytesOfOwners.delete(owner);
    }
  }

  #lookWhileOthersWait(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#looking);
      this.#looking = undefined;
    } else {
      this.#looking ??= setInterval(() => this.#takeBackFromSlow(), LOOK_EVERY_MS).unref();
    }
  }

  #takeBackFromSlow(): void {
    for (const room of this.#holders) {
      if (room.isSlow) {
        room.free();
        room.onTakenBack(HttpError.unavailable());
      }
    }
  }
}

class Room implements Holding {
  onTakenBack: Holding['onTakenBack'] = () => {};
  readonly free: () => void;
  readonly #since = performance.now();
  #bytes = 0;
  #isArriving = true;

  constructor(free: () => void) {
    this.free = free;
  }

  get isSlow(): boolean {
    const expected = (performance.now() - this.#since - GRACE_MS) * BYTES_PER_MS_MIN;
    return this.#isArriving && this.#bytes < expected;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  arrived(): void {
    this.#isArriving = false;
  }
}
