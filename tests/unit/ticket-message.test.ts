import { describe, expect, test } from '@jest/globals';
import { decodeTickets, encodeTickets, UnreadableMessageError } from '../../src/queue/ticket-message.ts';

describe('messages of tickets', () => {
  test('come back as they were written', () => {
    const tickets = [
      { deliveryId: 'a', destinationId: 'b', accountId: 'c', attempt: 0 },
      { deliveryId: 'd', destinationId: 'e', accountId: 'f', attempt: 12 },
    ];
    expect(decodeTickets(encodeTickets(tickets))).toEqual(tickets);
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
    ['a ticket without an account', '{"version":1,"tickets":[["a","b",0]]}'],
    ['a ticket without a destination', '{"version":1,"tickets":[["a"]]}'],
    ['an id that is a number', '{"version":1,"tickets":[["a",1,"c",0]]}'],
    ['an attempt that is no whole number', '{"version":1,"tickets":[["a","b","c",0.5]]}'],
  ])('of %s are unreadable', (_, content) => {
    expect(() => decodeTickets(Buffer.from(content))).toThrow(UnreadableMessageError);
  });
});
