import type { ExchangeOutcome } from '../core/delivery.ts';
import type { MessageSource } from '../core/outgoing-request.ts';
import type { Egress } from './egress-agents.ts';
import type { Parcel } from './sender-parcels.ts';
import type { Told } from './told-destinations.ts';

/** What a thread that sends is started with. */
export interface ThreadOptions {
  readonly userAgent: string;
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  readonly egress: Egress;
}

/** What a thread that sends is told, in parcels; it answers with parcels of outcomes. */
export type Order = Parcel<RequestContent> | 'close';

/** The payload is the piece's body. */
export interface RequestContent extends Omit<MessageSource, 'payload'> {
  readonly destination: Told;
  readonly sentAt: number;
}
/** `undefined` when the request was broken off. */
export type OutcomeContent = Omit<ExchangeOutcome, 'responseBody'> | undefined;
