import type { Ticket, TicketLane } from '../core/ticket.ts';
import type { ClaimedDelivery } from '../storage/statements.ts';

/** First attempts go before retries, so that what fails does not hold up what may succeed. */
export type Line = 'fresh' | 'retries';

/** A claim that waits for its slot. */
export interface Leased {
  readonly delivery: ClaimedDelivery;
  /** On the monotonic clock, in milliseconds. */
  readonly until: number;
  /** Called when the request has ended. */
  readonly onEnd?: () => void;
}

/** What the store has answered. */
export interface Claims extends Omit<Leased, 'delivery'> {
  readonly asked: number;
  readonly found: readonly (ClaimedDelivery | undefined)[];
  /** Of the lane, when the store was asked. */
  readonly withdrawals: number;
}

/** What a worker holds for one destination: tickets to claim, claims to send, requests under way. */
export class Lane implements TicketLane {
  readonly destinationId: string;
  readonly accountId: string;
  /** Tickets that wait to be claimed. */
  readonly tickets: Readonly<Record<Line, Ticket[]>> = { fresh: [], retries: [] };
  /** Set while the database may have deliveries that there is no ticket for; says in which line they stand. */
  inStore: Line | undefined;
  /** Nothing in the database was due before; see `LaneClaimRequest`. */
  from = 0;
  /** One look-up at a time. */
  isLookingUp = false;
  /** Something has come since the look-up under way began. */
  mustLookAgain = false;
  /** The next look-up begins at the oldest. */
  mustRewind = false;
  /** Set while there are deliveries whose worker has died: what the least of them has counted before. */
  lost: number | undefined;
  /** One of them is asked for at this moment. */
  isRescuing = false;
  /** Claimed ahead of their turn, so that a slot that falls free is filled without waiting for a commit. */
  readonly ready: Leased[] = [];
  /** Requests under way. */
  active = 0;
  /** Claims asked of the store and not answered yet. */
  claiming = 0;
  /** How often it was said that the destination gets nothing any more; what was claimed before is not sent. */
  withdrawals = 0;
  /** When a request of this lane last ended, on the monotonic clock. */
  lastFinishedAt = Number.NEGATIVE_INFINITY;

  constructor({ destinationId, accountId }: TicketLane) {
    this.destinationId = destinationId;
    this.accountId = accountId;
  }

  /** Deliveries this worker has leased, or is about to. */
  get claimed(): number {
    return this.active + this.ready.length + this.claiming;
  }

  /** The line in which the lane can be served next. */
  get line(): Line | undefined {
    const canLookUp = this.inStore !== undefined && !this.isLookingUp;
    if (this.tickets.fresh.length > 0 || (canLookUp && this.inStore === 'fresh')) {
      return 'fresh';
    }
    return this.tickets.retries.length > 0 || canLookUp ? 'retries' : undefined;
  }

  get isIdle(): boolean {
    return (
      this.claimed === 0 && this.line === undefined && this.lost === undefined && !this.isRescuing && !this.isLookingUp
    );
  }
}
