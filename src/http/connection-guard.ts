import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Where the system does not tell how many files a process may have open. */
const OPEN_FILES_ASSUMED = 4_096;
/** The other half is for the database, and for what is sent. */
const SHARE_OF_OPEN_FILES = 1 / 2;
/** Whoever opens as many connections as it can leaves the rest to others. */
const SHARE_OF_ONE_ADDRESS = 1 / 4;
/** About 20 KB each. */
const CONNECTIONS_MAX = 10_000;

export interface ConnectionBounds {
  readonly total: number;
  readonly perAddress: number;
}

/**
 * Far enough below what the system allows that a flood of connections leaves files for everything else.
 *
 * @param isBehindProxy all connections have one address then, and to share them out is the proxy's work.
 */
export function connectionBounds(isBehindProxy: boolean, openFiles = openFilesMax()): ConnectionBounds {
  const total = Math.min(Math.floor(openFiles * SHARE_OF_OPEN_FILES), CONNECTIONS_MAX);
  return { total, perAddress: isBehindProxy ? total : Math.max(Math.floor(total * SHARE_OF_ONE_ADDRESS), 1) };
}

function openFilesMax(): number {
  try {
    const limit = /^Max open files +(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? OPEN_FILES_ASSUMED : Number(limit);
  } catch {
    return OPEN_FILES_ASSUMED;
  }
}

/** Counts the connections of each address. */
export class ConnectionGuard {
  readonly #perAddress: number;
  readonly #open = new Map<string, number>();

  constructor(perAddress: number) {
    this.#perAddress = perAddress;
  }

  /** @returns false for one too many of its address, which is cut off. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#perAddress) {
      socket.destroy();
      return false;
    }
    this.#open.set(address, open + 1);
    socket.once('close', () => this.#release(address));
    return true;
  }

  #release(address: string): void {
    const open = (this.#open.get(address) ?? 0) - 1;
    if (open > 0) {
      this.#open.set(address, open);
    } else {
      this.#open.delete(address);
    }
  }
}
