import type { Timer } from '../core/clock.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';

/** Each may end with 1 MiB of body, which stays in memory until it is sent. */
const ROOMS = 32;
/** Endless expressions of one account, or of one destination, leave room for others. */
const ROOMS_PER_ACCOUNT = 16;
const ROOMS_PER_DESTINATION = 8;
/** The last rooms are for accounts that hold few: destinations that hang keep the rooms of their large results for long. */
const ROOMS_RESERVED = 8;
const FEW = 2;
/** After that a claim is given back, long before its lease ends. */
const WAIT_MS_MAX = 10_000;

export interface Room {
  /** May be called again. */
  leave(): void;
}

type Owner = Pick<ClaimedDelivery, 'accountId' | 'destinationId'>;

interface Waiting extends Owner {
  readonly answer: (room: Room | undefined) => void;
}

/** Bounds how many deliveries are transformed at the same time, or hold a large result. */
export class TransformRooms {
  readonly #timer: Timer;
  /** In the order of their arrival. */
  readonly #waiting = new Set<Waiting>();
  /** By account, and by destination. */
  readonly #taken = new Map<string, number>();
  #takenInAll = 0;
  #isClosed = false;

  constructor(timer: Timer) {
    this.#timer = timer;
  }

  /** @returns `undefined` when there was no room in time, or the rooms were closed */
  async enter(owner: Owner): Promise<Room | undefined> {
    if (this.#isClosed) {
      return undefined;
    }
    if (this.#isOpenTo(owner)) {
      return this.#take(owner);
    }
    const { promise, resolve } = Promise.withResolvers<Room | undefined>();
    const waiting = { ...owner, answer: resolve };
    this.#waiting.add(waiting);
    const cancel = this.#timer.after(WAIT_MS_MAX, () => {
      this.#waiting.delete(waiting);
      resolve(undefined);
    });
    const room = await promise;
    cancel();
    return room;
  }

  close(): void {
    this.#isClosed = true;
    for (const { answer } of this.#waiting) {
      answer(undefined);
    }
    this.#waiting.clear();
  }

  #isOpenTo({ accountId, destinationId }: Owner): boolean {
    const own = this.#taken.get(accountId) ?? 0;
    return (
      this.#takenInAll < (own < FEW ? ROOMS : ROOMS - ROOMS_RESERVED) &&
      own < ROOMS_PER_ACCOUNT &&
      (this.#taken.get(destinationId) ?? 0) < ROOMS_PER_DESTINATION
    );
  }

  #take(owner: Owner): Room {
    this.#count(owner, 1);
    let isTaken = true;
    return {
      leave: () => {
        if (isTaken) {
          isTaken = false;
          this.#count(owner, -1);
          this.#admit();
        }
      },
    };
  }

  /** The first that fits; those before it wait for their own account or destination. */
  #admit(): void {
    for (const waiting of this.#waiting) {
      if (this.#takenInAll >= ROOMS) {
        return;
      }
      if (this.#isOpenTo(waiting)) {
        this.#waiting.delete(waiting);
        waiting.answer(this.#take(waiting));
      }
    }
  }

  #count({ accountId, destinationId }: Owner, by: 1 | -1): void {
    this.#takenInAll += by;
    for (const id of [accountId, destinationId]) {
      const count = (this.#taken.get(id) ?? 0) + by;
      if (count > 0) {
        this.#taken.set(id, count);
      } else {
        this.#taken.delete(id);
      }
    }
  }
}
