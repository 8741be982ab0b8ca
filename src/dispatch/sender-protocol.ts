import type { ExchangeOutcome } from '../core/delivery.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';
import type { Egress } from './egress-agents.ts';
import type { Parcel } from './sender-parcels.ts';

/** What a thread that sends is started with. */
export interface ThreadOptions {
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  readonly egress: Egress;
}

/** What a thread that sends is told, in parcels; it answers with parcels of outcomes. */
export type Order = Parcel<RequestContent> | 'close';

export type RequestContent = Omit<OutgoingRequest, 'body'>;
/** `undefined` when the request was broken off. */
export type OutcomeContent = Omit<ExchangeOutcome, 'responseBody'> | undefined;
