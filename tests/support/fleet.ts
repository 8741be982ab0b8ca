import { join } from 'node:path';
import { numberedPayload, numberOf } from './numbered-payload.ts';
import { Receiver } from './receiver.ts';
import type { ServerProcess } from './server-process.ts';
import { SteadyLoad } from './steady-load.ts';
import { ENCRYPTION_KEY } from './vault.ts';
import { Workbench } from './workbench.ts';

export type Role = 'api' | 'worker';

export interface Figures {
  readonly acknowledged: number;
  /** Acknowledged, and never received. */
  readonly lost: number;
  readonly duplicated: number;
  /** Received again while an attempt that was under way could still be held by its worker. */
  readonly repeatedTooSoon: number;
  /** Received with another text than was sent. */
  readonly changed: number;
  /** Copies of one event that differ in their webhook-id. */
  readonly idsChanged: number;
}

const DELIVERY_TIMEOUT_S = 2;
/** For so long nobody else makes an attempt that is under way: twice the time-out, and a margin of 15 s. */
export const LEASE_MS = (2 * DELIVERY_TIMEOUT_S + 15) * 1000;
/** A lease begins before its request arrives. */
const LEASE_MS_MIN = LEASE_MS - 5_000;

/** Processes that share one database, a receiver, and a load upon them. */
export class Fleet {
  readonly bench = new Workbench();
  readonly load = new SteadyLoad(join(this.bench.folder, 'ledger'));
  readonly members: { readonly role: Role; readonly server: ServerProcess }[] = [];
  readonly receiver: Receiver;
  readonly #variables: Readonly<Record<string, string>>;
  /** When each number arrived last, on the clock of `performance.now()`. */
  readonly #arrivals = new Map<number, number>();
  #arriving: { after: number; resolve: (at: number) => void }[] = [];
  #lastArrived = 0;
  #repeatedTooSoon = 0;
  #token = '';
  #destinationId = '';

  private constructor(receiver: Receiver, variables: Readonly<Record<string, string>>) {
    this.receiver = receiver;
    this.#variables = {
      ENCRYPTION_KEY,
      DELIVERY_TIMEOUT: `${DELIVERY_TIMEOUT_S}s`,
      RETRY_SCHEDULE: '1s,1s,1s,1s',
      ...variables,
    };
  }

  static async start(variables: Readonly<Record<string, string>>, roles: readonly Role[]): Promise<Fleet> {
    const fleet = new Fleet(await Receiver.start(), variables);
    fleet.receiver.answerWith((response, { body }) => {
      fleet.#saw(numberOf(body));
      response.end();
    });
    try {
      for (const role of roles) {
        await fleet.add(role);
      }
      await fleet.#setUp();
    } catch (error) {
      await fleet.clear();
      throw error;
    }
    return fleet;
  }

  get api(): ServerProcess {
    const api = this.members.find(({ role }) => role === 'api');
    if (api === undefined) {
      throw new Error('There is no api process.');
    }
    return api.server;
  }

  async add(role: Role): Promise<ServerProcess> {
    const server = this.bench.spawn({ ...this.#variables, ROLES: role });
    this.members.push({ role, server });
    await (role === 'api' ? server.ready() : server.said(/Health +\S+\n/u));
    return server;
  }

  /** Ends one, and starts another in its place. */
  async replace(index: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const [member] = this.members.splice(index, 1);
    if (member !== undefined) {
      await member.server.end(signal);
      await this.add(member.role);
      if (member.role === 'api') {
        this.sendLoad();
      }
    }
  }

  /** To all api processes that there are, without end, or up to an event's number. */
  sendLoad(lastNumber?: number): void {
    const ingests = this.members.filter(({ role }) => role === 'api').map(({ server }) => server.urls.ingest);
    this.load.aim({ ingests, token: this.#token, ...(lastNumber !== undefined && { lastNumber }) });
  }

  /** When an event arrives that was sent after this moment, on the clock of `performance.now()`. */
  nextNew(): Promise<number> {
    const after = Math.max(this.load.lastNumber, this.#lastArrived);
    return new Promise((resolve) => this.#arriving.push({ after, resolve }));
  }

  /** The longest time from an event's acknowledgement to the arrival of its last copy, in milliseconds. */
  get slowestDeliveryMs(): number {
    let slowest = 0;
    for (const [number, arrived] of this.#arrivals) {
      slowest = Math.max(slowest, arrived - (this.load.answeredAt.get(number) ?? arrived));
    }
    return slowest;
  }

  /** Ends the load, waits until nothing is pending, and counts. */
  async settle(withinMs: number): Promise<Figures> {
    await this.load.finish();
    const query = 'query ($id: ID!) { destination(id: $id) { deliveries(first: 1, status: PENDING) { totalCount } } }';
    const pending = async (): Promise<number> =>
      (await this.api.data(query, { id: this.#destinationId })).destination.deliveries.totalCount;
    await this.api.eventually(pending, (count) => count === 0, withinMs);
    return this.#count();
  }

  async clear(): Promise<void> {
    await this.load.kill();
    await this.bench.clear();
    await this.receiver.stop();
  }

  async #setUp(): Promise<void> {
    const { id, token } = await this.api.createAccount();
    this.#token = token;
    this.#destinationId = await this.api.createDestination(id, this.receiver.url());
  }

  #saw(number: number): void {
    const now = performance.now();
    if (now - (this.#arrivals.get(number) ?? Number.NEGATIVE_INFINITY) < LEASE_MS_MIN) {
      this.#repeatedTooSoon += 1;
    }
    this.#arrivals.set(number, now);
    this.#lastArrived = Math.max(this.#lastArrived, number);
    for (const { resolve } of this.#arriving.filter(({ after }) => number > after)) {
      resolve(now);
    }
    this.#arriving = this.#arriving.filter(({ after }) => number <= after);
  }

  #count(): Figures {
    const { received } = this.receiver;
    const acknowledged = [...this.load.acknowledged().keys()];
    const copies = Map.groupBy(received, ({ body }) => numberOf(body));
    const ids = [...copies.values()].map((all) => new Set(all.map(({ headers }) => headers['webhook-id'])));
    return {
      acknowledged: acknowledged.length,
      lost: acknowledged.filter((number) => !copies.has(number)).length,
      duplicated: received.length - copies.size,
      repeatedTooSoon: this.#repeatedTooSoon,
      changed: received.filter(({ body }) => body.toString() !== numberedPayload(numberOf(body))).length,
      idsChanged: ids.filter(({ size }) => size !== 1).length,
    };
  }
}

/** One line that a person can compare with the last run's. */
export function report(fault: string, figures: Readonly<Record<string, unknown>>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
  process.stdout.write(`${fault}: ${text.join(', ')}\n`);
}

export function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
