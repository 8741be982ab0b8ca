import type { DeliveryStatus, Ticket, TicketLane } from '../../src/core/delivery.ts';
import { type ClaimedPolicy, policyOf } from '../../src/storage/policy-columns.ts';
import { burstOf } from '../../src/core/delivery-policy.ts';
import type { Rate } from '../../src/core/token-bucket.ts';
import type { Claims, DeliveryStore, Recorded } from '../../src/storage/delivery-store.ts';
import type { FoundLane, FoundRetry } from '../../src/storage/searches.ts';
import {
  type AttemptRecord,
  type Claim,
  type ClaimedDelivery,
  type ClaimRequest,
  LOST_COUNT_MAX,
  type LaneClaimRequest,
  type LostClaimRequest,
  type RatedClaimRequest,
} from '../../src/storage/statements.ts';

const NO_POLICY: ClaimedPolicy = policyOf({});
const PAYLOAD = Buffer.from('{}');

/** As the databases count: evenly, with a tenth at once. */
class ModelRate {
  readonly #everyMs: number;
  readonly #burst: number;
  #nextAt = 0;

  constructor(rate: Rate) {
    this.#everyMs = rate.perMs / rate.count;
    this.#burst = burstOf(rate);
  }

  take(now: number, most: number): number {
    const from = Math.max(this.#nextAt, now);
    const count = Math.max(Math.min(most, Math.floor((now - from) / this.#everyMs) + this.#burst), 0);
    this.#nextAt = from + count * this.#everyMs;
    return count;
  }

  limitedForMs(now: number): number {
    return Math.max(this.#nextAt - (this.#burst - 1) * this.#everyMs - now, 0);
  }
}

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
      | 'claimRated'
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
  readonly policies = new Map<string, ClaimedPolicy>();
  /** Look-ups and claims so far, and deliveries that were handed out. */
  asked = 0;
  taken = 0;
  readonly #rates = new Map<string, ModelRate>();
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

  claim({ ticket: { deliveryId, destinationId, attempt }, ...lease }: ClaimRequest): Promise<Claims> {
    this.asked += 1;
    return this.#weather(() =>
      this.#plain(destinationId, () => {
        const row = this.rows.get(deliveryId);
        return row !== undefined && row.attempt === attempt && this.#isFree(row) ? [this.#take(row, lease)] : [];
      }),
    );
  }

  claimLane({ destinationId, limit, from, ...lease }: LaneClaimRequest): Promise<Claims> {
    this.asked += 1;
    return this.#weather(() =>
      this.#plain(destinationId, () =>
        this.#dueOf(destinationId)
          .filter(({ dueAt }) => dueAt >= from)
          .slice(0, limit)
          .map((row) => this.#take(row, lease)),
      ),
    );
  }

  claimRated({ destinationId, limit, from, lostMost, ...lease }: RatedClaimRequest): Promise<Claims> {
    this.asked += 1;
    return this.#weather(() => {
      const rows =
        lostMost === null
          ? this.#dueOf(destinationId).filter(({ dueAt }) => dueAt >= from)
          : this.#lostOf(destinationId)
              .filter(({ lostCount }) => lostCount <= lostMost)
              .slice(0, 1);
      const policy = this.policyOf(destinationId);
      const rate = this.#rates.get(destinationId);
      const allowed = rate?.take(this.#now(), Math.min(limit, rows.length)) ?? limit;
      const limited = rate && { policy, limitedForMs: rate.limitedForMs(this.#now()) };
      const claimed = rows.slice(0, allowed).map((row) => this.#take(row, lease));
      return { claimed, limited, passedOver: undefined };
    });
  }

  /** A claim that is not rated. */
  #plain(destinationId: string, claim: () => ClaimedDelivery[]): Claims {
    return this.#rates.has(destinationId)
      ? { claimed: [], limited: { policy: this.policyOf(destinationId), limitedForMs: 0 }, passedOver: undefined }
      : { claimed: claim(), limited: undefined, passedOver: undefined };
  }

  limit(destinationId: string, rateLimit: Rate): void {
    this.policies.set(destinationId, { ...NO_POLICY, rateLimit });
    this.#rates.set(destinationId, new ModelRate(rateLimit));
  }

  claimLost({ destinationId, lostMost, ...lease }: LostClaimRequest): Promise<Claims> {
    return this.#weather(() =>
      this.#plain(destinationId, () => {
        const row = this.#lostOf(destinationId).find(({ lostCount }) => lostCount <= lostMost);
        return row === undefined ? [] : [this.#take(row, lease)];
      }),
    );
  }

  record(record: AttemptRecord): Promise<Recorded> {
    return this.#weather(() => ({ isRecorded: this.#isRecorded(record), next: undefined }));
  }

  #isRecorded({ deliveryId, attempt, outcome, state }: AttemptRecord): boolean {
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

  policyOf(destinationId: string): ClaimedPolicy {
    return this.policies.get(destinationId) ?? NO_POLICY;
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
      place: null,
      transform: null,
      url: `http://127.0.0.1/${destinationId}`,
      httpMethod: 'POST',
      headers: [],
      signingSecrets: [],
      policy: this.policyOf(destinationId),
      problem: isGivenUp ? 'WORKER_DIED' : null,
    };
  }
}
