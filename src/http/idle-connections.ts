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
