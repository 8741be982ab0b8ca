import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import { decodeTickets, encodeTickets, UnreadableMessageError } from '../../src/queue/ticket-message.ts';
import { ticketsNamed } from '../support/tickets.ts';

const [LAST] = ticketsNamed('last', 1) as [Ticket];
const { deliveryId: ID } = LAST;

describe('messages of tickets', () => {
  test('come back as they were written', () => {
    const written = [...ticketsNamed('any', 12), { ...LAST, attempt: 2 ** 31 - 1 }];
    expect(decodeTickets(encodeTickets(written))).toEqual(written);
  });

  test.each([
    ['nothing', ''],
    ['bytes that are no text', '\u0000\ufffd'],
    ['broken JSON', '{"version":1,'],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', '[]'],
    ['no version', '{"tickets":[]}'],
    ['a version that is a word', '{"version":"1","tickets":[]}'],
    ['a later version', '{"version":2,"tickets":[]}'],
    ['the name of a method as version', '{"version":"toString","tickets":[]}'],
    ['no tickets', '{"version":1}'],
    ['tickets that are no list', '{"version":1,"tickets":{}}'],
    ['a ticket that is no list', '{"version":1,"tickets":[{"deliveryId":"a"}]}'],
    ['a ticket without an account', messageOf([[ID, ID, 0]])],
    ['a ticket without a destination', messageOf([[ID]])],
    ['an id that is a number', messageOf([[ID, 1, ID, 0]])],
    ['a delivery that is no id', messageOf([['x', ID, ID, 0]])],
    ['a destination that is no id', messageOf([[ID, 'y', ID, 0]])],
    ['an account that is no id', messageOf([[ID, ID, 'z', 0]])],
    ['an id with something after it', messageOf([[`${ID}\n`, ID, ID, 0]])],
    ['an attempt that is no whole number', messageOf([[ID, ID, ID, 0.5]])],
    ['an attempt that is text', messageOf([[ID, ID, ID, '0']])],
    ['an attempt below nought', messageOf([[ID, ID, ID, -1]])],
    ['an attempt that no column holds', messageOf([[ID, ID, ID, 2 ** 31]])],
    ['one bad ticket among good ones', messageOf([[ID, ID, ID, 0], null, [ID, ID, ID, 0]])],
    ['more tickets than anyone writes', messageOf(Array.from({ length: 1_001 }, () => [ID, ID, ID, 0]))],
    ['megabytes around a good ticket', messageOf([[ID, ID, ID, 0]]) + ' '.repeat(4_000_000)],
    ['lists within lists without end', '['.repeat(100_000)],
  ])('of %s are unreadable', (_, content) => {
    expect(() => decodeTickets(Buffer.from(content))).toThrow(UnreadableMessageError);
  });
});

function messageOf(rows: unknown): string {
  return JSON.stringify({ version: 1, tickets: rows });
}
