import { HttpError } from '../access/http-error.ts';

const MIB = 1_048_576;

/** Memory that is reserved for one body. */
export interface Reservation {
  /** Called with the reason when the memory is taken away from a body that is still arriving. */
  onRevoked: (reason: HttpError) => void;
  /** Counts bytes of the body that have arrived. */
  add(bytes: number): void;
  /** The whole body has arrived. The reservation can no longer be revoked. */
  complete(): void;
  /** Must be called in the end. Further calls do nothing. */
  release(): void;
}

/** All small bodies that are arriving or waiting for their answers. */
const SMALL_BYTES_TOTAL_MAX = 64 * MIB;

/**
 * Counts the bytes of small bodies as they arrive, without making any wait. Above the limit, the body that has been
 * arriving for longest is given up. An honest sender's body arrives within moments, so this hits slow senders. Complete
 * bodies are kept. If all are complete, the next body is refused.
 */
export class SmallBodies {
  readonly #arriving = new Set<SmallReservation>();
  #bytes = 0;

  reserve(): Reservation {
    const reservation = new SmallReservation(
      (change) => this.#count(change),
      () => this.#arriving.delete(reservation),
    );
    this.#arriving.add(reservation);
    return reservation;
  }

  #count(change: number): void {
    this.#bytes += change;
    while (this.#bytes > SMALL_BYTES_TOTAL_MAX) {
      const [oldest] = this.#arriving;
      if (oldest === undefined) {
        return;
      }
      oldest.release();
      oldest.onRevoked(HttpError.unavailable());
    }
  }
}

class SmallReservation implements Reservation {
  onRevoked: Reservation['onRevoked'] = () => {};
  readonly complete: () => void;
  readonly #count: (change: number) => void;
  #bytes = 0;

  constructor(count: (change: number) => void, complete: () => void) {
    this.#count = count;
    this.complete = complete;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#count(bytes);
  }

  release(): void {
    this.complete();
    const bytes = this.#bytes;
    this.#bytes = 0;
    this.#count(-bytes);
  }
}

/** All large bodies, from before they are read until they are answered. */
export const LARGE_BYTES_TOTAL_MAX = 96 * MIB;
/** Of one account. The rest is always left for others. */
const LARGE_BYTES_PER_OWNER_MAX = 64 * MIB;
/** A sender that has waited this long is refused, while it still has time to retry. */
const WAIT_MS = 15_000;
/** While others wait, a body must arrive at this average rate after the first seconds. */
const BYTES_PER_MS_MIN = MIB / 1_000;
const GRACE_MS = 2_000;
const CHECK_EVERY_MS = 500;

interface ReservationRequest {
  /** The sender of the body. */
  readonly owner: string;
  /** The most memory that the body may need. */
  readonly bytes: number;
}

interface Waiter {
  readonly request: ReservationRequest;
  readonly grant: (reservation: Reservation) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Reserves memory for large bodies, in the order of the requests.
 *
 * Nobody waits for ever. A body gets all the memory it may need before its first byte is read, so no holder ever waits
 * for more. Each holder releases its memory within a bounded time: a body that arrives too slowly while others wait is
 * revoked, a complete one is answered, and commits have a time limit. The first waiter is passed over only because of
 * the memory that its own account holds. If there is too little for everybody, none of those behind it gets any. A body
 * that is larger than the total gets all of it, alone.
 */
export class LargeBodies {
  readonly #waiting = new Set<Waiter>();
  readonly #held = new Set<LargeReservation>();
  readonly #bytesByOwner = new Map<string, number>();
  #bytes = 0;
  #checking: NodeJS.Timeout | undefined;

  /**
   * @param signal ends the wait
   * @throws HttpError 503 after too long a wait
   */
  reserve(request: ReservationRequest, signal: AbortSignal): Promise<Reservation> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#leave(waiter);
        reject(HttpError.unavailable());
        this.#grantWaiting();
      };
      const waiter: Waiter = { request, grant: resolve, timer: setTimeout(giveUp, WAIT_MS) };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#grantWaiting();
    });
  }

  #grantWaiting(): void {
    for (const waiter of this.#waiting) {
      const { owner, bytes } = waiter.request;
      if (this.#bytes > 0 && this.#bytes + bytes > LARGE_BYTES_TOTAL_MAX) {
        break;
      }
      const owned = this.#bytesByOwner.get(owner) ?? 0;
      if (owned === 0 || owned + bytes <= LARGE_BYTES_PER_OWNER_MAX) {
        this.#leave(waiter);
        waiter.grant(this.#hold(waiter.request));
      }
    }
    this.#checkWhileOthersWait();
  }

  #leave(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    this.#waiting.delete(waiter);
  }

  #hold(request: ReservationRequest): Reservation {
    const reservation = new LargeReservation(() => this.#release(reservation, request));
    this.#held.add(reservation);
    this.#count(request.owner, request.bytes);
    return reservation;
  }

  #release(reservation: LargeReservation, { owner, bytes }: ReservationRequest): void {
    if (this.#held.delete(reservation)) {
      this.#count(owner, -bytes);
      this.#grantWaiting();
    }
  }

  #count(owner: string, change: number): void {
    this.#bytes += change;
    const owned = (this.#bytesByOwner.get(owner) ?? 0) + change;
    if (owned > 0) {
      this.#bytesByOwner.set(owner, owned);
    } else {
      this.#bytesByOwner.delete(owner);
    }
  }

  #checkWhileOthersWait(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#checking);
      this.#checking = undefined;
    } else {
      this.#checking ??= setInterval(() => this.#revokeSlow(), CHECK_EVERY_MS).unref();
    }
  }

  #revokeSlow(): void {
    for (const reservation of this.#held) {
      if (reservation.isSlow) {
        reservation.release();
        reservation.onRevoked(HttpError.unavailable());
      }
    }
  }
}

class LargeReservation implements Reservation {
  onRevoked: Reservation['onRevoked'] = () => {};
  readonly release: () => void;
  readonly #since = performance.now();
  #bytes = 0;
  #isArriving = true;

  constructor(release: () => void) {
    this.release = release;
  }

  get isSlow(): boolean {
    const expected = (performance.now() - this.#since - GRACE_MS) * BYTES_PER_MS_MIN;
    return this.#isArriving && this.#bytes < expected;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  complete(): void {
    this.#isArriving = false;
  }
}
