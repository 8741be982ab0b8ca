import { setTimeout } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { saysGone } from '../core/delivery.ts';
import type { Ticket } from '../core/ticket.ts';
import type { Facts } from '../observe/facts.ts';
import type { DeliveryStore } from '../storage/delivery-store.ts';
import type { AttemptRecord, ClaimedDelivery, DueRequest } from '../storage/statements.ts';
import type { Lane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { TaskGroup } from './task-group.ts';
import type { Bounds } from './turn.ts';
import { deliver, type DeliverDependencies } from './deliver.ts';

/** How long nothing is claimed after the store has failed. */
const STORE_PAUSE_MS = 1_000;
/** On top of the time that a claim made ahead may wait and the time that its request may take. */
const LEASE_MARGIN_MS = 15_000;

export interface DispatcherOptions extends DeliverDependencies {
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly facts: Facts;
  readonly bounds: Bounds;
  /** Upper bound of one request. */
  readonly timeoutMs: number;
  /** How long a ticket from the store is good; 0 where this process is the only one to ask. */
  readonly visibilityMs: number;
}

/**
 * Takes tickets in, claims their deliveries, and keeps as many requests under way as the bounds allow.
 * What it holds in memory is bounded too, and can be lost at any moment: the database knows better.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #lanes: Lanes;
  readonly #claims = new TaskGroup();
  readonly #exchanges = new TaskGroup();
  readonly #leaseMs: number;
  #pumpIsDue = false;
  #pausedUntil = 0;
  #stopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#lanes = new Lanes(options.bounds);
    this.#leaseMs = 2 * options.timeoutMs + LEASE_MARGIN_MS;
  }

  /** Never waits: what there is no room for stays in the database. */
  offer(tickets: readonly Ticket[]): void {
    if (this.#stopping) {
      return;
    }
    const unused = tickets.filter((ticket) => !this.#lanes.offer(ticket));
    this.#claims.add(this.#giveBack(unused));
    this.#pumpSoon();
  }

  /** The same for tickets read from the database, `limitPerDestination` of each destination at most. */
  offerDue(tickets: readonly Ticket[], limitPerDestination: number): void {
    for (const own of Map.groupBy(tickets, ({ destinationId }) => destinationId).values()) {
      this.offer(own);
      if (own[0] !== undefined && own.length >= limitPerDestination && !this.#stopping) {
        this.#lanes.of(own[0]).hasMoreInStore = true;
      }
    }
    // Nothing else ends a pause when the lanes are full: then sweeps bring no tickets, and no exchange is left to end.
    this.#pumpSoon();
  }

  /**
   * Finishes what is under way, and gives back what was claimed ahead.
   *
   * @param graceMs after that, requests are broken off; their leases run out.
   * @returns how many were broken off.
   */
  async stop(graceMs: number): Promise<number> {
    this.#stopping = true;
    await this.#claims.settled();
    const unused = this.#lanes.clearTickets();
    await this.#giveBack(unused);
    await this.#release([...this.#lanes.all()].flatMap(({ ready }) => ready.splice(0)));
    await this.#exchanges.settled(graceMs);
    const unfinished = this.#exchanges.size;
    this.#options.sender.close();
    await this.#exchanges.settled();
    return unfinished;
  }

  /** Destinations whose lanes have no room for another sweep's tickets. */
  fullDestinations(): string[] {
    return this.#lanes.full().map(({ destinationId }) => destinationId);
  }

  /** Where tickets travel, their deliveries are due later: now nobody waits for these any more. */
  async #giveBack(tickets: readonly Ticket[]): Promise<void> {
    const { deliveries, clock, visibilityMs } = this.#options;
    if (tickets.length > 0 && visibilityMs > 0) {
      await this.#storing('return', () => deliveries.returnTickets(tickets, clock.now()));
    }
  }

  async #release(unsent: readonly ClaimedDelivery[]): Promise<void> {
    const { deliveries, clock } = this.#options;
    if (unsent.length > 0) {
      await this.#storing('release', () => deliveries.release(unsent, clock.now()));
    }
  }

  #due(now: number, limitPerDestination: number): DueRequest {
    return { now, limitPerDestination, visibilityMs: this.#options.visibilityMs, except: [] };
  }

  // One turn for all that happened in this round of the event loop, so that claims share a commit.
  #pumpSoon(): void {
    if (!this.#pumpIsDue) {
      this.#pumpIsDue = true;
      setImmediate(() => {
        this.#pumpIsDue = false;
        this.#pump();
      });
    }
  }

  #pump(): void {
    const now = this.#options.clock.now();
    if (this.#stopping || now < this.#pausedUntil) {
      return;
    }
    for (const { lane, ticket } of this.#lanes.takeTurn(now)) {
      this.#claims.add(this.#claim(lane, ticket, now));
    }
    for (const lane of this.#lanes.toRefill()) {
      this.#claims.add(this.#refill(lane, now));
    }
  }

  async #claim(lane: Lane, ticket: Ticket, now: number): Promise<void> {
    const leasedUntil = now + this.#leaseMs;
    const answer = await this.#storing('claim', async () => ({
      claimed: await this.#options.deliveries.claim(ticket, leasedUntil),
    }));
    lane.claiming -= 1;
    if (answer === undefined) {
      lane.ticketsLike(ticket).unshift(ticket);
      return;
    }
    const later = this.#lanes.forget(ticket);
    if (answer.claimed !== undefined) {
      lane.ready.push(answer.claimed);
      this.#startReady(lane);
    } else if (later !== undefined) {
      // The claim passed over a row that a sweep was just taking for this worker: that is the ticket to use.
      this.offer([later]);
    }
    this.#lanes.dropIfIdle(lane);
  }

  async #refill(lane: Lane, now: number): Promise<void> {
    lane.refilling = true;
    lane.hasMoreInStore = false;
    const limit = Lanes.refillLimit;
    const tickets = await this.#storing('refill', () =>
      this.#options.deliveries.takeDueOf(lane.destinationId, this.#due(now, limit)),
    );
    lane.refilling = false;
    this.offerDue(tickets ?? [], limit);
    this.#lanes.dropIfIdle(lane);
  }

  #startReady(lane: Lane): void {
    const { bounds, clock, timeoutMs } = this.#options;
    while (!this.#stopping && lane.active < bounds.maxConcurrencyPerDestination) {
      const delivery = lane.ready.shift();
      if (delivery === undefined) {
        return;
      }
      // After a long standstill of the process the lease may be over, and the delivery somebody else's.
      if (clock.now() + timeoutMs < delivery.leasedUntil) {
        lane.active += 1;
        this.#exchanges.add(this.#exchange(lane, delivery));
      }
    }
  }

  async #exchange(lane: Lane, delivery: ClaimedDelivery): Promise<void> {
    const record = await deliver(delivery, this.#options);
    lane.active -= 1;
    lane.lastFinishedAt = this.#options.clock.now();
    if (record !== undefined && saysGone(record.outcome)) {
      this.#options.facts.destinationGone(delivery);
      // What was claimed ahead keeps its attempts for when the destination is enabled again.
      this.#claims.add(this.#release(lane.ready.splice(0)));
    }
    this.#startReady(lane);
    this.#pumpSoon();
    if (record !== undefined) {
      await this.#record(record, delivery.leasedUntil);
    }
    this.#lanes.dropIfIdle(lane);
  }

  /** Tries for as long as the lease keeps the delivery: what is not recorded is sent a second time. */
  async #record(record: AttemptRecord, leasedUntil: number): Promise<void> {
    const { deliveries, clock } = this.#options;
    for (;;) {
      const recorded = await this.#storing('record', () => deliveries.record(record));
      if (recorded !== undefined || this.#stopping || clock.now() + STORE_PAUSE_MS >= leasedUntil) {
        return;
      }
      await setTimeout(STORE_PAUSE_MS);
    }
  }

  /** A store that fails stops the dispatcher for a while; nothing is lost, every lease and every due time stands. */
  async #storing<Result>(during: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const now = this.#options.clock.now();
      if (now >= this.#pausedUntil) {
        this.#options.facts.storageFailed(during, error);
        this.#pausedUntil = now + STORE_PAUSE_MS;
      }
      return undefined;
    }
  }
}
