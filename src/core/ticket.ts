/** Says that a delivery waits, and for which attempt: a claim takes it only if no newer attempt has begun. */
export interface Ticket {
  readonly deliveryId: string;
  readonly destinationId: string;
  /** The owner of both, because accounts take turns. */
  readonly accountId: string;
  /** Attempts already claimed when the ticket was written. */
  readonly attempt: number;
}

/** Where deliveries wait, and whose turn it is. */
export type TicketLane = Pick<Ticket, 'destinationId' | 'accountId'>;
