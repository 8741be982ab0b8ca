import { type Lane, type Priority, setMember } from './lanes.ts';

export interface Account {
  readonly id: string;
  /** Lanes with something to claim and a free slot, the one that has waited longest first. */
  readonly waiting: Readonly<Record<Priority, Set<Lane>>>;
  /** All its lanes, including those that wait for nothing. */
  lanes: number;
  /** Slots that its lanes hold. */
  slots: number;
  /** The turn in which it was served last; 0 for never. */
  lastServed: number;
}

/**
 * Accounts take turns, and within an account its lanes. Accounts below the reserved share of the slots are kept
 * apart from the others, because they may still take a slot when the others may not.
 */
export class AccountRotation {
  readonly #reserved: number;
  // A Set keeps insertion order: an account that is served goes to the end.
  readonly #light = new Set<Account>();
  readonly #heavy = new Set<Account>();
  readonly #accounts = new Map<string, Account>();
  #turns = 0;

  /** @param reserved slots that only accounts with fewer slots than this may take */
  constructor(reserved: number) {
    this.#reserved = reserved;
  }

  of(id: string): Account {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      const waiting = { fresh: new Set<Lane>(), retries: new Set<Lane>() };
      account = { id, waiting, lanes: 0, slots: 0, lastServed: 0 };
      this.#accounts.set(id, account);
    }
    return account;
  }

  get areWaiting(): boolean {
    return this.#light.size > 0 || this.#heavy.size > 0;
  }

  /** The lane whose turn it is. Its account goes to the end. */
  next(freeSlots: number): Lane | undefined {
    if (freeSlots <= 0) {
      return undefined;
    }
    const [light] = this.#light;
    const [heavy] = freeSlots > this.#reserved ? this.#heavy : [];
    const isHeavy = heavy !== undefined && (light === undefined || heavy.lastServed < light.lastServed);
    const account = isHeavy ? heavy : light;
    if (account === undefined) {
      return undefined;
    }
    this.#turns += 1;
    account.lastServed = this.#turns;
    moveToEnd(isHeavy ? this.#heavy : this.#light, account);
    const lanes = account.waiting.fresh.size > 0 ? account.waiting.fresh : account.waiting.retries;
    const [lane] = lanes;
    if (lane !== undefined) {
      moveToEnd(lanes, lane);
    }
    return lane;
  }

  /** Must be called when the account's lanes or slots have changed. */
  update(account: Account): void {
    const hasWork = account.waiting.fresh.size > 0 || account.waiting.retries.size > 0;
    const isLight = account.slots < this.#reserved;
    setMember(this.#light, account, hasWork && isLight);
    setMember(this.#heavy, account, hasWork && !isLight);
    if (account.lanes === 0) {
      this.#accounts.delete(account.id);
    }
  }
}

function moveToEnd<Member>(set: Set<Member>, member: Member): void {
  set.delete(member);
  set.add(member);
}
