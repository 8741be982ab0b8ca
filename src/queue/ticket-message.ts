import type { Ticket } from '../core/ticket.ts';

/** The newest version is what is written. Add a decoder for the next one, a release before anything writes it. */
const VERSION = 1;

const DECODERS: Readonly<Record<number, (body: Readonly<Record<string, unknown>>) => Ticket[]>> = { 1: decodeV1 };

/** Says why a message is of no use. */
export class UnreadableMessageError extends Error {
  override readonly name = 'UnreadableMessageError';
}

/** Ids only: what is sent, and where to, is read from the database at the time of the attempt. */
export function encodeTickets(tickets: readonly Ticket[]): Buffer {
  const rows = tickets.map(({ deliveryId, destinationId, accountId, attempt }) => [
    deliveryId,
    destinationId,
    accountId,
    attempt,
  ]);
  return Buffer.from(JSON.stringify({ version: VERSION, tickets: rows }));
}

/** @throws UnreadableMessageError */
export function decodeTickets(content: Buffer): Ticket[] {
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
  return tickets.map((row: unknown) => {
    const [deliveryId, destinationId, accountId, attempt] = Array.isArray(row) ? (row as unknown[]) : [];
    const areIds = typeof deliveryId === 'string' && typeof destinationId === 'string' && typeof accountId === 'string';
    if (!areIds || !Number.isSafeInteger(attempt)) {
      throw new UnreadableMessageError('A ticket is not [deliveryId, destinationId, accountId, attempt].');
    }
    return { deliveryId, destinationId, accountId, attempt: attempt as number };
  });
}
