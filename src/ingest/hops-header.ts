import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/** An event that comes back so often goes round in a circle. */
const HOPS_MAX = 4;

/**
 * How many times the event was delivered by a Data Pusher, this one or another, before it came here. A destination
 * may lead to an ingest, and that one's destination back again; nobody else can tell that it is the same event.
 *
 * @returns 0 for one that comes from its source
 * @throws Refusal 400, and 508 for one that has come too far
 */
export function hopsOf({ headers }: IncomingMessage): number {
  const value = headers['data-pusher-hops'] ?? '0';
  // Node joins headers that are sent twice with a comma and a space, so they do not pass.
  if (typeof value !== 'string' || !/^\d+$/u.test(value)) {
    throw Refusal.invalid('Data-Pusher-Hops must be a whole number, and be sent once.');
  }
  if (Number(value) > HOPS_MAX) {
    throw Refusal.loopDetected();
  }
  return Number(value);
}
