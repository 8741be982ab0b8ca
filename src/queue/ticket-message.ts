import { isReceivedId } from '../core/ids.ts';
import type { Ticket } from '../core/delivery.ts';

/** The version that is written. Add a decoder for the next version one release before anything writes it. */
const VERSION = 1;

const DECODERS: Readonly<Record<number, (body: Readonly<Record<string, unknown>>) => Ticket[]>> = { 1: decodeV1 };

/** Ten times more than is ever written. Without a bound, anyone who can write to the queue could fill our memory. */
const TICKETS_MAX = 1_000;
/** Enough for that many tickets. A larger message is not parsed. */
const BYTES_MAX = 256 * 1024;
/** The largest value of the database columns. */
const ATTEMPT_MAX = 2 ** 31 - 1;

/** Says why a message cannot be read. It never repeats text of the message, so there are few different reasons. */
export class UnreadableMessageError extends Error {
  override readonly name = 'UnreadableMessageError';
}

/** Encodes ids only: the request is read from the database at the time of the attempt. */
export function encodeTickets(tickets: readonly Ticket[]): Buffer {
  const rows = tickets.map(({ deliveryId, destinationId, accountId, attempt }) => [
    deliveryId,
    destinationId,
    accountId,
    attempt,
  ]);
  return Buffer.from(JSON.stringify({ version: VERSION, tickets: rows }));
}

/**
 * Checks everything, because anyone with access to the broker may have written the message.
 *
 * @throws UnreadableMessageError
 */
export function decodeTickets(content: Buffer): Ticket[] {
  if (content.length > BYTES_MAX) {
    throw new UnreadableMessageError('The message is too large.');
  }
  const body = parse(content);
  const { version } = body;
  const decode = typeof version === 'number' ? DECODERS[version] : undefined;
  if (decode === undefined) {
    throw new UnreadableMessageError('The version is unknown.');
  }
  return decode(body);
}

function parse(content: Buffer): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(content.toString());
  } catch {
    throw new UnreadableMessageError('This is not JSON.');
  }
  if (typeof body !== 'object' || body === null) {
    throw new UnreadableMessageError('This is not an object.');
  }
  return body as Record<string, unknown>;
}

function decodeV1({ tickets }: Readonly<Record<string, unknown>>): Ticket[] {
  if (!Array.isArray(tickets)) {
    throw new UnreadableMessageError('There is no list of tickets.');
  }
  if (tickets.length > TICKETS_MAX) {
    throw new UnreadableMessageError('There are too many tickets.');
  }
  return tickets.map(decodeRowV1);
}

function decodeRowV1(row: unknown): Ticket {
  const [deliveryId, destinationId, accountId, attempt] = Array.isArray(row) ? (row as unknown[]) : [];
  if (!isReceivedId(deliveryId) || !isReceivedId(destinationId) || !isReceivedId(accountId) || !isAttempt(attempt)) {
    throw new UnreadableMessageError('A ticket is not [deliveryId, destinationId, accountId, attempt].');
  }
  return { deliveryId, destinationId, accountId, attempt };
}

function isAttempt(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= ATTEMPT_MAX;
}
