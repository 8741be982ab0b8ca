import { EVERYTHING, type Scope } from '../core/scope.ts';

const MIB = 1024 * 1024;

export interface PoolBounds {
  readonly totalBytes: number;
  /** What all accounts together leave to the administrator is the rest. */
  readonly accountsBytes: number;
  readonly accountBytes: number;
}

const BOUNDS: PoolBounds = { totalBytes: 64 * MIB, accountsBytes: 48 * MIB, accountBytes: 16 * MIB };

/**
 * Bounds what all answers under way hold together, until the last byte of each has been taken: a caller that reads
 * slowly keeps its share. An account can use up its own, and no other's.
 */
export class AnswerPool {
  readonly #bounds: PoolBounds;
  readonly #byAccount = new Map<string, number>();
  #accountsBytes = 0;
  #totalBytes = 0;

  constructor(bounds: PoolBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** @returns false when there is not as much left for this caller. */
  take(caller: Scope, bytes: number): boolean {
    const { totalBytes, accountsBytes, accountBytes } = this.#bounds;
    if (this.#totalBytes + bytes > totalBytes) {
      return false;
    }
    if (caller !== EVERYTHING) {
      const own = (this.#byAccount.get(caller.accountId) ?? 0) + bytes;
      if (own > accountBytes || this.#accountsBytes + bytes > accountsBytes) {
        return false;
      }
    }
    this.#add(caller, bytes);
    return true;
  }

  giveBack(caller: Scope, bytes: number): void {
    this.#add(caller, -bytes);
  }

  #add(caller: Scope, bytes: number): void {
    this.#totalBytes += bytes;
    if (caller === EVERYTHING) {
      return;
    }
    this.#accountsBytes += bytes;
    const own = (this.#byAccount.get(caller.accountId) ?? 0) + bytes;
    if (own === 0) {
      this.#byAccount.delete(caller.accountId);
    } else {
      this.#byAccount.set(caller.accountId, own);
    }
  }
}

/** The memory is the process's. */
export const ANSWER_POOL = new AnswerPool();
