import { createHash } from 'node:crypto';
import type { Ticket } from '../../src/core/delivery.ts';

const ACCOUNT = '01a20000-0000-7000-8000-0000000000ee';
const DESTINATION = '01a20000-0000-7000-8000-0000000000ff';

/** An id that is always the same for the same name. */
export function idNamed(name: string): string {
  const digits = createHash('sha256').update(name).digest('hex');
  return [8, 13, 18, 23].reduce((id, at) => `${id.slice(0, at)}-${id.slice(at)}`, digits.slice(0, 32));
}

/** Tickets for one destination; the same name makes the same tickets. */
export function ticketsNamed(name: string, count: number): Ticket[] {
  return Array.from({ length: count }, (_, index) => ({
    deliveryId: idNamed(`${name} ${index}`),
    destinationId: DESTINATION,
    accountId: ACCOUNT,
    attempt: index,
  }));
}
