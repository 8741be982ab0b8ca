import { LRUCache } from 'lru-cache';
import { CPU_MS_MAX, type Order } from './protocol.ts';

/** Destinations and accounts whose use is remembered while they have nothing to do. */
const REMEMBERED_MAX = 10_000;

/** One order in the server, until it is settled. */
export interface Job {
  readonly order: Order;
  readonly lane: Lane;
  readonly resolve: (result: { readonly body: Buffer } | { readonly failure: string } | undefined) => void;
  readonly reject: (error: Error) => void;
  /** What its lane was charged when it was taken. */
  chargedMs: number;
  /** How often its process was ended from outside while it ran. */
  interruptions: number;
}

/** Has used so much processor time, as far as the order of turns is concerned. */
interface Share {
  usedMs: number;
}

interface AccountShare extends Share {
  readonly id: string;
  readonly waiting: Set<Lane>;
  /** What the lane served last had used before. */
  floorMs: number;
}

/** The expression of one destination. */
export interface Lane extends Share {
  readonly id: string;
  readonly account: AccountShare;
  readonly jobs: Job[];
  /** What its next job is taken to cost: the bound, while nothing is known. */
  expectedMs: number;
}

/**
 * Orders that wait, in fair turns: next comes the account that would have used least processor time after its job, and of
 * that account the destination likewise. So a cheap expression does not wait for those that use up their time, and what
 * they have used is remembered.
 */
export class TransformTurns {
  readonly #accounts = new LRUCache<string, AccountShare>({ max: REMEMBERED_MAX });
  readonly #lanes = new LRUCache<string, Lane>({ max: REMEMBERED_MAX });
  readonly #waiting = new Set<AccountShare>();
  #floorMs = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param id of the destination */
  lane(accountId: string, id: string): Lane {
    const account = this.#account(accountId);
    const key = `${accountId} ${id}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined || lane.account !== account) {
      lane = { id, account, jobs: [], usedMs: 0, expectedMs: CPU_MS_MAX };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  add(job: Job): void {
    this.#wait(job.lane);
    job.lane.jobs.push(job);
  }

  /** Takes a job back that was not to blame for its process' end. */
  putBack(job: Job): void {
    this.#wait(job.lane);
    job.lane.jobs.unshift(job);
    charge(job.lane, -job.chargedMs);
  }

  /** @param fits whether the lane's next job may begin now */
  next(fits: (lane: Lane) => boolean): Job | undefined {
    let best: Lane | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const account of this.#waiting) {
      const lane = leastUsed(account.waiting, fits);
      if (lane !== undefined && account.usedMs + lane.expectedMs < bestMs) {
        best = lane;
        bestMs = account.usedMs + lane.expectedMs;
      }
    }
    return best && this.#take(best);
  }

  /** @param costMs what the job has cost in truth */
  settle({ lane, chargedMs }: Job, costMs: number): void {
    charge(lane, costMs - chargedMs);
    // One that was expensive has to be cheap several times.
    lane.expectedMs = Math.max(costMs, lane.expectedMs / 2);
  }

  /** Takes every job that waits. */
  clear(): Job[] {
    const jobs = [...this.#waiting].flatMap(({ waiting }) => [...waiting].flatMap((lane) => lane.jobs.splice(0)));
    for (const { waiting } of this.#waiting) {
      waiting.clear();
    }
    this.#waiting.clear();
    this.#size = 0;
    return jobs;
  }

  #account(id: string): AccountShare {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      account = { id, waiting: new Set(), usedMs: 0, floorMs: 0 };
      this.#accounts.set(id, account);
    }
    return account;
  }

  // Who comes back has not saved up the time in which it wanted nothing.
  #wait(lane: Lane): void {
    const { account } = lane;
    this.#size += 1;
    if (lane.jobs.length === 0) {
      lane.usedMs = Math.max(lane.usedMs, account.floorMs);
      account.waiting.add(lane);
    }
    if (!this.#waiting.has(account)) {
      account.usedMs = Math.max(account.usedMs, this.#floorMs);
      this.#waiting.add(account);
    }
  }

  #take(lane: Lane): Job {
    const { account } = lane;
    this.#floorMs = Math.max(this.#floorMs, account.usedMs);
    account.floorMs = Math.max(account.floorMs, lane.usedMs);
    const job = lane.jobs.shift() as Job;
    job.chargedMs = lane.expectedMs;
    charge(lane, job.chargedMs);
    this.#size -= 1;
    if (lane.jobs.length === 0) {
      account.waiting.delete(lane);
      if (account.waiting.size === 0) {
        this.#waiting.delete(account);
      }
    } else {
      // Behind others that have used as much.
      account.waiting.delete(lane);
      account.waiting.add(lane);
    }
    return job;
  }
}

function leastUsed(lanes: ReadonlySet<Lane>, fits: (lane: Lane) => boolean): Lane | undefined {
  let best: Lane | undefined;
  for (const lane of lanes) {
    if (fits(lane) && (best === undefined || lane.usedMs + lane.expectedMs < best.usedMs + best.expectedMs)) {
      best = lane;
    }
  }
  return best;
}

function charge(lane: Lane, ms: number): void {
  lane.usedMs += ms;
  lane.account.usedMs += ms;
}
