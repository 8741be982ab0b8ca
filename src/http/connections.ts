import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { networkOf } from '../access/limits.ts';

/** Used when the system does not report the limit on open files. */
const OPEN_FILES_ASSUMED = 4_096;
/** The other half is for the database and for outgoing requests. */
const SHARE_OF_OPEN_FILES = 1 / 2;
/** One network cannot take the connections of all others. */
const SHARE_OF_ONE_NETWORK = 1 / 4;
/** About 20 KB each. */
const CONNECTIONS_MAX = 10_000;

export interface ConnectionBounds {
  readonly total: number;
  /** A network is one IPv4 address or one IPv6 /64. */
  readonly perNetwork: number;
}

/**
 * Stays below the system's limit, so a flood of connections leaves files for everything else. Node's own
 * `maxConnections` bounds the total only.
 *
 * @param isBehindProxy All connections then have the proxy's address, and the proxy must share them out.
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
 * Bounds the connections, in total and by network. When the total is reached, a new connection replaces an idle one:
 * nobody can lock others out by holding connections without sending requests. A connection with a request under way is
 * never replaced.
 */
export class ConnectionGuard {
  readonly #bounds: ConnectionBounds;
  readonly #open = new Map<Socket, OpenConnection>();
  readonly #openOf = new Map<string, number>();
  readonly #idle = new IdleConnections<Socket>();

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
  }

  /** Closes the connection if it is one too many. */
  admit(socket: Socket): void {
    const network = networkOf(socket.remoteAddress ?? '');
    const openOfNetwork = this.#openOf.get(network) ?? 0;
    if (openOfNetwork >= this.#bounds.perNetwork || !this.#replaceIdle()) {
      socket.destroy();
      return;
    }
    this.#openOf.set(network, openOfNetwork + 1);
    this.#open.set(socket, { network, requests: 0 });
    this.#idle.add(socket, network);
    socket.once('close', () => this.#forget(socket));
  }

  /** Counts requests: clients may send the next one before the first is answered. */
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

  #replaceIdle(): boolean {
    if (this.#open.size < this.#bounds.total) {
      return true;
    }
    const idle = this.#idle.longestOfMost();
    if (idle === undefined) {
      return false;
    }
    // Its 'close' event comes too late for the new connection.
    this.#forget(idle);
    idle.destroy();
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

/** Idle connections by network. Every operation takes constant time, however many connections there are. */
export class IdleConnections<Connection> {
  /** In each set, the connection that has been idle for longest comes first. */
  readonly #byNetwork = new Map<string, Set<Connection>>();
  /** At index n, the networks with n idle connections. */
  readonly #byCount: Set<string>[] = [];
  #most = 0;

  add(connection: Connection, network: string): void {
    const idle = this.#byNetwork.get(network) ?? new Set();
    const before = idle.size;
    idle.add(connection);
    this.#byNetwork.set(network, idle);
    this.#move(network, before, idle.size);
  }

  /** Does nothing when the connection is not idle. */
  remove(connection: Connection, network: string): void {
    const idle = this.#byNetwork.get(network);
    if (idle?.delete(connection) === true) {
      this.#move(network, idle.size + 1, idle.size);
      if (idle.size === 0) {
        this.#byNetwork.delete(network);
      }
    }
  }

  /** @returns the connection that has been idle for longest, in a network that has the most idle connections */
  longestOfMost(): Connection | undefined {
    const [network = ''] = this.#byCount[this.#most] ?? [];
    const [longest] = this.#byNetwork.get(network) ?? [];
    return longest;
  }

  /** The counts differ by one, so the new maximum is one of the two. */
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
