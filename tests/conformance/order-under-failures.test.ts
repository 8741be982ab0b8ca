import { describe, expect, test } from '@jest/globals';
import { assert, asyncProperty, integer } from 'fast-check';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import { kyselyOf } from '../../src/storage/assemble.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { OrderMonitor } from '../support/order-monitor.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { DELIVERED, NOW, routeAtOnce, StoreFixture } from '../support/store-fixture.ts';
import { COMPETING_STORES } from './competing-stores.ts';
import { FAILED, OVER, retryIn, SUCCEEDED } from './delivery-actions.ts';

const RUNS = 8;
const KEYS = 3;
const EVENTS_PER_KEY = 15;
const DESTINATIONS = 2;
const WORKERS = 6;
/** Of one worker; far more than it takes. */
const TURNS_MAX = 5_000;
const LEASE_MS = 600_000;

function leaseFor(isOver: boolean) {
  return { leaseMs: isOver ? OVER : LEASE_MS, blame: 1 } as const;
}

/** Senders, one for each key, and workers that fail in all ways, until everything has ended. */
class Struggle {
  readonly monitor = new OrderMonitor();
  readonly #stores: readonly Storage[];
  readonly #account: { readonly token: string; readonly destinationIds: readonly string[] };
  readonly #random: () => number;
  readonly #newId = new StoreFixture(() => this.#anyOf(this.#stores)).newId;
  readonly #tickets: Ticket[] = [];
  readonly #lookUps = new Set<string>();

  constructor(
    stores: readonly Storage[],
    account: { readonly token: string; readonly destinationIds: readonly string[] },
    random: () => number,
  ) {
    this.#stores = stores;
    this.#account = account;
    this.#random = random;
  }

  async run(): Promise<void> {
    const keys = Array.from({ length: KEYS }, (_, key) => key);
    // A worker without any ticket would have nothing to wait for.
    await Promise.all(keys.map((key) => this.#send(key, 0)));
    const senders = keys.map((key) => this.#sendAll(key));
    await Promise.all([...senders, ...Array.from({ length: WORKERS }, () => this.#work())]);
  }

  async #sendAll(key: number): Promise<void> {
    for (let n = 1; n < EVENTS_PER_KEY; n += 1) {
      await this.#send(key, n);
    }
  }

  async #send(key: number, n: number): Promise<void> {
    const { token } = this.#account;
    const payload = Buffer.from(JSON.stringify({ key, n }));
    const event = { id: this.#newId(), token, type: null, payload, idempotencyKey: null, receivedAt: NOW, hops: 0 };
    const accepted = await this.#anyOf(this.#stores).events.accept(event, routeAtOnce);
    this.#tickets.push(...(accepted?.tickets ?? []));
  }

  async #work(): Promise<void> {
    for (let turn = 0; this.monitor.ended < KEYS * EVENTS_PER_KEY * DESTINATIONS; turn += 1) {
      if (turn === TURNS_MAX) {
        throw new Error('It does not come to an end.');
      }
      const store = this.#anyOf(this.#stores);
      const { claimed, isOver } = await this.#claim(store);
      claimed.forEach((one) => this.monitor.begun(one));
      // A worker may die if its lease is over. Nobody here would wait for the end of another.
      const isDead = isOver && this.#chance(0.4);
      await Promise.all(isDead ? [] : claimed.map((one) => this.#end(store, one)));
    }
  }

  async #claim(store: Storage): Promise<{ claimed: readonly ClaimedDelivery[]; isOver: boolean }> {
    const { deliveries } = store;
    const destinationId = this.#anyOf(this.#account.destinationIds);
    // A process looks for the deliveries of a destination once at a time.
    const lookUp = `${this.#stores.indexOf(store)} ${destinationId}`;
    if (this.#chance(0.4) || this.#lookUps.has(lookUp)) {
      const ticket = this.#anyOf(this.#tickets);
      // Everybody with the same ticket asks for the same lease, because any of them may be answered.
      const isOver = ticket.attempt % 2 === 1;
      const { claimed } = await deliveries.claim({ ticket, ...leaseFor(isOver) });
      return { claimed, isOver };
    }
    this.#lookUps.add(lookUp);
    const isOver = this.#chance(0.3);
    const lost = this.#chance(0.4)
      ? (await deliveries.claimLost({ destinationId, lostMost: 9, ...leaseFor(isOver) })).claimed
      : [];
    const limit = this.#chance(0.5) ? 2 : 8;
    const { claimed } = await deliveries.claimLane({ destinationId, limit, from: 0, ...leaseFor(isOver) });
    this.#lookUps.delete(lookUp);
    return { claimed: [...lost, ...claimed], isOver };
  }

  async #end({ deliveries }: Storage, claimed: ClaimedDelivery): Promise<void> {
    if (this.#chance(0.15)) {
      await deliveries.release([claimed]);
      return;
    }
    if (claimed.problem === null && this.#chance(0.3)) {
      await deliveries.record({ ...claimed, outcome: FAILED, state: retryIn(0) });
      this.#tickets.push(claimed);
      return;
    }
    const state = this.#chance(0.3) ? ({ ...SUCCEEDED, status: 'FAILED' } as const) : SUCCEEDED;
    await this.monitor.ending(claimed, async () => {
      const { isRecorded, next } = await deliveries.record({ ...claimed, outcome: DELIVERED, state });
      if (next !== undefined) {
        this.#tickets.push({ ...next, accountId: claimed.accountId });
      }
      return isRecorded;
    });
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #anyOf<Value>(list: readonly Value[]): Value {
    return list[Math.floor(this.#random() * list.length)] as Value;
  }
}

describe.each(COMPETING_STORES)('the order of deliveries on $name', ({ open }) => {
  test('holds whatever workers do, and nothing is left behind', async () => {
    const { stores, close } = await open();
    const [store] = stores as [Storage];
    const fixture = new StoreFixture(() => store);
    try {
      await assert(
        asyncProperty(integer(), async (seed) => {
          const account = await fixture.account(DESTINATIONS);
          for (const id of account.destinationIds) {
            await fixture.updateDestination(id, { policy: { orderBy: 'key' } });
          }
          const struggle = new Struggle(stores, account, seededRandom(seed));
          await struggle.run();
          expect(struggle.monitor.inversions).toEqual([]);
          const { rows } = await sql`select * from queue`.execute(kyselyOf(store.fork(EVERYTHING)));
          expect(rows).toEqual([]);
        }),
        { numRuns: RUNS, endOnFailure: true },
      );
    } finally {
      await close();
    }
  }, 120_000);
});
