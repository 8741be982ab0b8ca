import type { ExchangeOutcome } from '../core/delivery.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';

/** Sends one request. Whatever becomes of it is an outcome; it never rejects. */
export interface Sender {
  /** @returns `undefined` when the sender was closed before the request had come to an end. */
  send(request: OutgoingRequest): Promise<ExchangeOutcome | undefined>;
  /** Breaks off what is under way. */
  close(): void;
}
