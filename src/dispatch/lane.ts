import type { Ticket } from '../core/ticket.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';

/** What a worker holds for one destination: tickets to claim, claims to send, requests under way. */
export class Lane {
  readonly destinationId: string;
  readonly accountId: string;
  /** Tickets of first attempts; they go before those of retries. */
  readonly fresh: Ticket[] = [];
  readonly retries: Ticket[] = [];
  /** Claimed ahead of their turn, so that a slot that falls free is filled without waiting for a commit. */
  readonly ready: ClaimedDelivery[] = [];
  /** Requests under way. */
  active = 0;
  /** Claims asked of the store and not answered yet. */
  claiming = 0;
  /** True when a ticket had to be left in the database for want of room. */
  hasMoreInStore = false;
  refilling = false;
  /** When a request of this lane last ended, in milliseconds since the Unix epoch. */
  lastFinishedAt = 0;

  constructor({ destinationId, accountId }: Pick<Ticket, 'destinationId' | 'accountId'>) {
    this.destinationId = destinationId;
    this.accountId = accountId;
  }

  /** Tickets that wait to be claimed. */
  get waiting(): number {
    return this.fresh.length + this.retries.length;
  }

  /** The tickets of the same kind as this one. */
  ticketsLike({ attempt }: Ticket): Ticket[] {
    return attempt === 0 ? this.fresh : this.retries;
  }

  /** Deliveries this worker has leased, or is about to. */
  get claimed(): number {
    return this.active + this.ready.length + this.claiming;
  }

  get isIdle(): boolean {
    return this.claimed === 0 && this.waiting === 0 && !this.hasMoreInStore && !this.refilling;
  }
}
