import type { ExchangeOutcome } from '../core/delivery.ts';
import type { RequestSource } from '../core/outgoing-request.ts';

/** Builds requests and sends them. Whatever becomes of one is an outcome; it never rejects. */
export interface Sender {
  /**
   * @param sentAt what the request is stamped with, in milliseconds since the Unix epoch
   * @returns `undefined` when the request was broken off: the sender was closed before it had come to an end.
   */
  send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined>;
  /** Breaks off what is under way, within a second whatever happens. */
  close(): void;
}
