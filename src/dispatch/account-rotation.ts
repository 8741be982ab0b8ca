import type { Lane, Line } from './lanes.ts';

/** The lanes of one account that can be served, the one that waits longest first. */
export interface Account {
  readonly id: string;
  readonly waiting: Readonly<Record<Line, Set<Lane>>>;
  /** All its lanes, those that cannot be served included. */
  lanes: number;
  /** Slots that it holds. */
  held: number;
  /** The turn in which it was served last; 0 for never. */
  lastServed: number;
}

/**
 * Accounts with something to serve, in the order in which they were served last. Those that hold less than the
 * reserved share of the slots stand apart, because they may still take one when the others may not.
 */
export class AccountRotation {
  readonly #reserved: number;
  // A Set keeps the order in which its members came: who is served goes behind the others.
  readonly #light = new Set<Account>();
  readonly #heavy = new Set<Account>();
  readonly #accounts = new Map<string, Account>();
  #turns = 0;

  /** @param reserved slots that only accounts may take that hold fewer */
  constructor(reserved: number) {
    this.#reserved = reserved;
  }

  of(id: string): Account {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      const waiting = { fresh: new Set<Lane>(), retries: new Set<Lane>() };
      account = { id, waiting, lanes: 0, held: 0, lastServed: 0 };
      this.#accounts.set(id, account);
    }
    return account;
  }

  get areWaiting(): boolean {
    return this.#light.size > 0 || this.#heavy.size > 0;
  }

  /** The lane whose turn it is; its account goes behind the others. */
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
    const accounts = isHeavy ? this.#heavy : this.#light;
    accounts.delete(account);
    accounts.add(account);
    const line = account.waiting.fresh.size > 0 ? account.waiting.fresh : account.waiting.retries;
    const [lane] = line;
    if (lane !== undefined) {
      line.delete(lane);
      line.add(lane);
    }
    return lane;
  }

  /** To be called when the account's lanes or slots have changed. */
  place(account: Account): void {
    const hasWork = account.waiting.fresh.size > 0 || account.waiting.retries.size > 0;
    const isLight = account.held < this.#reserved;
    move(this.#light, account, hasWork && isLight);
    move(this.#heavy, account, hasWork && !isLight);
    if (account.lanes === 0) {
      this.#accounts.delete(account.id);
    }
  }
}

/** A member that stays keeps its place. */
export function move<Member>(set: Set<Member>, member: Member, belongs: boolean): void {
  if (belongs) {
    set.add(member);
  } else {
    set.delete(member);
  }
}
