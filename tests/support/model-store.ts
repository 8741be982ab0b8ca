import type { DeliveryStatus, Ticket, TicketLane } from '../../src/core/delivery.ts';
import type { DeliveryStore } from '../../src/storage/delivery-store.ts';
import {
  type AttemptRecord,
  type Claim,
  type ClaimedDelivery,
  type ClaimRequest,
  LOST_COUNT_MAX,
  type FoundLane,
  type FoundRetry,
  type LaneClaimRequest,
  type LostClaimRequest,
} from '../../src/storage/statements.ts';

const PAYLOAD = Buffer.from('{}');

interface Row extends TicketLane {
  readonly deliveryId: string;
  attempt: number;
  lostCount: number;
  blame: number;
  dueAt: number;
  leasedUntil: number | undefined;
  waits: boolean;
}

/** Decides when an operation of the store happens, and whether it or its answer is lost. */
export type Weather = <Result>(operation: () => Result) => Promise<Result>;

/** The store's contract in a few lines of memory: what the databases do is tested on the databases. */
export class ModelStore
  implements
    Pick<
      DeliveryStore,
      | 'claim'
      | 'claimLane'
      | 'claimLost'
      | 'record'
      | 'release'
      | 'readPayload'
      | 'findLanes'
      | 'findRetries'
      | 'disabledAmong'
    >
{
  readonly rows = new Map<string, Row>();
  readonly finished = new Map<string, DeliveryStatus>();
  readonly disabled = new Set<string>();
  /** Look-ups and claims so far, and deliveries that were handed out. */
  asked = 0;
  taken = 0;
  readonly #attempts = new Set<string>();
  readonly #now: () => number;
  readonly #weather: Weather;

  constructor(now: () => number, weather: Weather) {
    this.#now = now;
    this.#weather = weather;
  }

  insert(ticket: Ticket): void {
    const fields = { lostCount: 0, blame: 1, dueAt: this.#now(), leasedUntil: undefined, waits: false };
    this.rows.set(ticket.deliveryId, { ...ticket, ...fields });
  }

  deleteDestination(id: string): void {
    this.disabled.add(id);
    for (const row of [...this.rows.values()].filter(({ destinationId }) => destinationId === id)) {
      this.rows.delete(row.deliveryId);
    }
  }

  claim({ ticket: { deliveryId, attempt }, ...lease }: ClaimRequest): Promise<ClaimedDelivery | undefined> {
    this.asked += 1;
    return this.#weather(() => {
      const row = this.rows.get(deliveryId);
      return row !== undefined && row.attempt === attempt && this.#isFree(row) ? this.#take(row, lease) : undefined;
    });
  }

  claimLane({ destinationId, limit, from, ...lease }: LaneClaimRequest): Promise<ClaimedDelivery[]> {
    this.asked += 1;
    return this.#weather(() =>
      this.#dueOf(destinationId)
        .filter(({ dueAt }) => dueAt >= from)
        .slice(0, limit)
        .map((row) => this.#take(row, lease)),
    );
  }

  claimLost({ destinationId, lostMost, ...lease }: LostClaimRequest): Promise<ClaimedDelivery | undefined> {
    return this.#weather(() => {
      const row = this.#lostOf(destinationId).find(({ lostCount }) => lostCount <= lostMost);
      return row && this.#take(row, lease);
    });
  }

  record({ deliveryId, attempt, outcome, state }: AttemptRecord): Promise<boolean> {
    return this.#weather(() => {
      const row = this.rows.get(deliveryId);
      const key = `${deliveryId} ${attempt}`;
      if (row?.attempt !== attempt || row.leasedUntil === undefined) {
        return this.#attempts.has(key);
      }
      this.#attempts.add(key);
      if (outcome.statusCode === 410) {
        this.disabled.add(row.destinationId);
      }
      if (state.status === 'PENDING') {
        Object.assign(row, { dueAt: this.#now() + (state.retryInMs ?? 0), leasedUntil: undefined, waits: true });
        row.lostCount = 0;
      } else {
        this.rows.delete(deliveryId);
        this.finished.set(deliveryId, state.status);
      }
      return true;
    });
  }

  release(claims: readonly Claim[]): Promise<void> {
    return this.#weather(() => {
      for (const { deliveryId, attempt } of claims) {
        const row = this.rows.get(deliveryId);
        if (row?.attempt === attempt && row.leasedUntil !== undefined) {
          row.leasedUntil = undefined;
          row.attempt -= 1;
        }
      }
    });
  }

  readPayload(_eventId: string, target: Buffer): Promise<boolean> {
    return this.#weather(() => PAYLOAD.copy(target) === PAYLOAD.length);
  }

  findLanes(): Promise<FoundLane[]> {
    return this.#weather(() => {
      const ids = [...new Set([...this.rows.values()].map(({ destinationId }) => destinationId))].toSorted();
      return ids.map((destinationId) => {
        const [first] = this.#dueOf(destinationId);
        const owner = [...this.rows.values()].find((row) => row.destinationId === destinationId);
        const due = first === undefined ? null : first.waits ? 'retries' : 'fresh';
        const [lost] = this.#lostOf(destinationId);
        return { destinationId, accountId: owner?.accountId ?? null, due, lost: lost?.lostCount ?? null } as const;
      });
    });
  }

  disabledAmong(ids: readonly string[]): Promise<string[]> {
    return this.#weather(() => ids.filter((id) => this.disabled.has(id)));
  }

  findRetries({ after }: { after: number }): Promise<FoundRetry[]> {
    return this.#weather(() =>
      [...this.rows.values()]
        .filter(({ waits, dueAt }) => waits && dueAt > after && dueAt <= this.#now())
        .toSorted((a, b) => a.dueAt - b.dueAt),
    );
  }

  #dueOf(destinationId: string): Row[] {
    return [...this.rows.values()]
      .filter((row) => row.destinationId === destinationId && row.dueAt <= this.#now() && this.#isFree(row))
      .toSorted((a, b) => a.dueAt - b.dueAt);
  }

  #lostOf(destinationId: string): Row[] {
    return [...this.rows.values()]
      .filter((row) => row.destinationId === destinationId && (row.leasedUntil ?? Infinity) <= this.#now())
      .filter(() => !this.disabled.has(destinationId))
      .toSorted((a, b) => a.lostCount - b.lostCount);
  }

  #isFree({ destinationId, leasedUntil }: Row): boolean {
    return !this.disabled.has(destinationId) && leasedUntil === undefined;
  }

  #take(row: Row, { leaseMs, blame }: Pick<ClaimRequest, 'leaseMs' | 'blame'>): ClaimedDelivery {
    const isGivenUp = row.leasedUntil !== undefined && row.lostCount + row.blame >= LOST_COUNT_MAX;
    this.taken += 1;
    row.lostCount += row.leasedUntil === undefined ? 0 : row.blame;
    row.blame = blame;
    row.attempt += isGivenUp ? 0 : 1;
    row.leasedUntil = this.#now() + leaseMs;
    const { deliveryId, accountId, destinationId, attempt, lostCount, dueAt } = row;
    return {
      deliveryId,
      accountId,
      destinationId,
      attempt,
      lostCount,
      dueAt,
      attemptInCycle: attempt,
      eventId: deliveryId,
      destinationVersion: 1,
      payload: attempt % 2 === 0 ? PAYLOAD : null,
      payloadLength: PAYLOAD.length,
      hops: 0,
      eventType: null,
      url: `http://127.0.0.1/${destinationId}`,
      httpMethod: 'POST',
      headers: [],
      signingSecrets: [],
      problem: isGivenUp ? 'WORKER_DIED' : null,
    };
  }
}
