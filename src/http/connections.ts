import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { networkOf } from '../access/limits.ts';

/** Where the system does not tell how many files a process may have open. */
const OPEN_FILES_ASSUMED = 4_096;
/** The other half is for the database, and for what is sent. */
const SHARE_OF_OPEN_FILES = 1 / 2;
/** Whoever opens as many connections as it can leaves the rest to others. */
const SHARE_OF_ONE_NETWORK = 1 / 4;
/** About 20 KB each. */
const CONNECTIONS_MAX = 10_000;

export interface ConnectionBounds {
  readonly total: number;
  /** An IPv4 address is a network of its own; of IPv6 it is a /64. */
  readonly perNetwork: number;
}

/**
 * Far enough below what the system allows that a flood of connections leaves files for everything else.
 *
 * @param isBehindProxy all connections have one address then, and to share them out is the proxy's work.
 */
export function connectionBounds(isBehindProxy: boolean, openFiles = openFilesMax()): ConnectionBounds {
  const total = Math.min(Math.floor(openFiles * SHARE_OF_OPEN_FILES), CONNECTIONS_MAX);
  return { total, perNetwork: isBehindProxy ? total : Math.max(Math.floor(total * SHARE_OF_ONE_NETWORK), 1) };
}

function openFilesMax(): number {
  try {
    const limit = /^Max open files +(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? OPEN_FILES_ASSUMED : Number(limit);
  } catch {
    return OPEN_FILES_ASSUMED;
  }
}

interface OpenConnection {
  readonly network: string;
  requests: number;
}

/**
 * Counts connections, in all and by network. Where there is no room in all, a newcomer takes the place of a
 * connection that is idle, so that nobody can lock others out by holding connections and asking for nothing. One
 * with a request under way is never closed for that.
 */
export class ConnectionGuard {
  readonly #bounds: ConnectionBounds;
  readonly #open = new Map<Socket, OpenConnection>();
  readonly #openOf = new Map<string, number>();
  readonly #idle = new IdleConnections<Socket>();

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
  }

  /** Cuts the connection off when it is one too many. */
  admit(socket: Socket): void {
    const network = networkOf(socket.remoteAddress ?? '');
    const openOfNetwork = this.#openOf.get(network) ?? 0;
    if (openOfNetwork >= this.#bounds.perNetwork || !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#openOf.set(network, openOfNetwork + 1);
    this.#open.set(socket, { network, requests: 0 });
    this.#idle.add(socket, network);
    socket.once('close', () => this.#forget(socket));
  }

  /** A request has begun to be answered on it; clients may send the next before that has ended. */
  requestBegan(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection !== undefined) {
      connection.requests += 1;
      this.#idle.remove(socket, connection.network);
    }
  }

  requestEnded(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection !== undefined) {
      connection.requests -= 1;
      if (connection.requests === 0) {
        this.#idle.add(socket, connection.network);
      }
    }
  }

  #makeRoom(): boolean {
    if (this.#open.size < this.#bounds.total) {
      return true;
    }
    const idlest = this.#idle.longestOfMost();
    if (idlest === undefined) {
      return false;
    }
    // Its 'close' comes a moment later, and is too late for the newcomer.
    this.#forget(idlest);
    idlest.destroy();
    return true;
  }

  #forget(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) {
      return;
    }
    this.#open.delete(socket);
    this.#idle.remove(socket, connection.network);
    const left = (this.#openOf.get(connection.network) ?? 0) - 1;
    if (left > 0) {
      this.#openOf.set(connection.network, left);
    } else {
      this.#openOf.delete(connection.network);
    }
  }
}

/**
 * Connections that wait for a request, by the network that they come from. All that is asked of it takes the same
 * time, however many there are.
 */
export class IdleConnections<Connection> {
  /** Those of each network; whoever waits longest comes first. */
  readonly #byNetwork = new Map<string, Set<Connection>>();
  /** The networks that have so many of them, at that index. */
  readonly #byCount: Set<string>[] = [];
  #most = 0;

  add(connection: Connection, network: string): void {
    const waiting = this.#byNetwork.get(network) ?? new Set();
    const before = waiting.size;
    waiting.add(connection);
    this.#byNetwork.set(network, waiting);
    this.#move(network, before, waiting.size);
  }

  /** Does nothing when it does not wait. */
  remove(connection: Connection, network: string): void {
    const waiting = this.#byNetwork.get(network);
    if (waiting?.delete(connection) === true) {
      this.#move(network, waiting.size + 1, waiting.size);
      if (waiting.size === 0) {
        this.#byNetwork.delete(network);
      }
    }
  }

  /** @returns the one that waits longest, of a network that has most of them. */
  longestOfMost(): Connection | undefined {
    const [network = ''] = this.#byCount[this.#most] ?? [];
    const [longest] = this.#byNetwork.get(network) ?? [];
    return longest;
  }

  /** The counts differ by one, so that the most is never far to seek. */
  #move(network: string, from: number, to: number): void {
    if (from === to) {
      return;
    }
    this.#byCount[from]?.delete(network);
    if (to > 0) {
      (this.#byCount[to] ??= new Set()).add(network);
    }
    this.#most = Math.max(this.#most, to);
    if ((this.#byCount[this.#most]?.size ?? 0) === 0) {
      this.#most = Math.min(this.#most, to);
    }
  }
}
