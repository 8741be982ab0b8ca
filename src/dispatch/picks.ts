import type { Ticket } from '../core/delivery.ts';
import type { Lane, Rescue } from './lanes.ts';

export interface TicketPick {
  readonly lane: Lane;
  readonly ticket: Ticket;
}

/** A claim of the oldest due deliveries of a lane. */
export interface LookUp {
  readonly lane: Lane;
  readonly limit: number;
}

/** What to claim now. */
export interface Picks {
  readonly tickets: readonly TicketPick[];
  readonly lookUps: readonly LookUp[];
  readonly rescues: readonly Rescue[];
  /** Milliseconds until more requests may begin; `undefined` when none is held back. */
  readonly heldBackFor: number | undefined;
}
