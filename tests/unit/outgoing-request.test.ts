import { describe, expect, test } from '@jest/globals';
import type { HeaderEntry, HttpMethod } from '../../src/core/inputs.ts';
import { buildRequest, type OutgoingRequest, targetOf, urlWithQuery } from '../../src/core/outgoing-request.ts';
import { signatureHeader, signingKeyOf } from '../../src/core/signature.ts';
import { requestSource } from '../support/request-source.ts';

const SECRET = { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', signsUntil: null };
const SENT_AT = 1_700_000_000_999;

function build(httpMethod: HttpMethod, headers: HeaderEntry[], eventType: string | null = 'order.paid') {
  const payload = Buffer.from('{"a":1}');
  const destination = { url: 'https://example.com/a#b', httpMethod, headers, signingSecrets: [SECRET] };
  const source = requestSource({ ...destination, deliveryId: 'D', eventId: 'E', eventType, attempt: 2, payload });
  return buildRequest(targetOf(source, 'Data-Pusher/1'), { ...source, hops: 3 }, SENT_AT);
}

describe('buildRequest', () => {
  test.each<HttpMethod>(['POST', 'PUT', 'PATCH', 'DELETE'])('%s carries the received bytes', (method) => {
    const request = build(method, [['X-Key', 'v']]);
    const signed = { id: 'D', timestamp: '1700000000', body: '{"a":1}' };
    expect(request).toEqual({
      url: new URL('https://example.com/a'),
      method,
      headerLines: [
        'Host: example.com',
        'X-Key: v',
        'Content-Type: application/json',
        'User-Agent: Data-Pusher/1',
        'webhook-id: D',
        'webhook-timestamp: 1700000000',
        `webhook-signature: ${signatureHeader(signed, [signingKeyOf(SECRET)], SENT_AT)}`,
        'Data-Pusher-Hops: 4',
        'X-Event-Id: E',
        'X-Delivery-Attempt: 2',
        'X-Event-Type: order.paid',
        'Content-Length: 7',
      ].flatMap((line) => line.split(': ')),
      body: Buffer.from('{"a":1}'),
    });
  });

  test('GET carries no body and no content type', () => {
    const request = build('GET', [['X-Key', 'v']]);
    expect(request.url.href).toBe('https://example.com/a?a=1');
    expect(request.body).toBeUndefined();
    expect(request.headerLines).not.toContain('Content-Type');
  });

  test("the destination's own content type and user agent win, whatever their letter case", () => {
    const { headerLines } = build('POST', [
      ['content-TYPE', 'text/plain'],
      ['USER-agent', 'mine'],
    ]);
    expect(headerLines.slice(2, 6)).toEqual(['content-TYPE', 'text/plain', 'USER-agent', 'mine']);
    expect(headerLines.map((line) => line.toLowerCase()).filter((line) => line === 'content-type')).toHaveLength(1);
  });

  test('a list of values becomes repeated lines, and text beyond ASCII becomes its UTF-8 bytes', () => {
    const { headerLines } = build('POST', [
      ['X-Many', ['1', '2']],
      ['x-many', 'é'],
    ]);
    expect(headerLines.slice(2, 8)).toEqual(['X-Many', '1', 'X-Many', '2', 'x-many', 'Ã©']);
  });
});

function valuesOf({ headerLines }: OutgoingRequest, name: string): string[] {
  return headerLines.filter((_, at) => at % 2 === 1 && headerLines[at - 1]?.toLowerCase() === name);
}

describe('the headers that tell of the event', () => {
  test('win over those that a destination has from an early version', () => {
    const request = build('POST', [
      ['X-EVENT-TYPE', 'mine'],
      ['x-event-id', ['mine', 'mine too']],
      ['X-Delivery-Attempt', 'mine'],
      ['X-Other', 'mine'],
    ]);
    const names = ['x-event-type', 'x-event-id', 'x-delivery-attempt', 'x-other'];
    expect(names.map((name) => valuesOf(request, name))).toEqual([['order.paid'], ['E'], ['2'], ['mine']]);
  });

  test('name no type where there is none, not even that of the destination', () => {
    const request = build('POST', [['X-Event-Type', 'mine']], null);
    expect(valuesOf(request, 'x-event-type')).toEqual([]);
  });
});

describe('urlWithQuery', () => {
  test.each([
    ['http://x/', '{}', 'http://x/'],
    ['http://x', '{"a":"b c&d=e+f"}', 'http://x?a=b%20c%26d%3De%2Bf'],
    ['http://x/?k=%20v', '{"a":1}', 'http://x/?k=%20v&a=1'],
    ['http://x/?', '{"a":1}', 'http://x/?a=1'],
    ['http://x/?k&', '{"a":1}', 'http://x/?k&a=1'],
    ['http://x/', '{"n":1.0,"big":12345678901234567890}', 'http://x/?n=1.0&big=12345678901234567890'],
    ['http://x/', '{"t":true,"f":false,"z":null}', 'http://x/?t=true&f=false&z=null'],
    ['http://x/', '{"o":{"a": 1},"l":[1, "é"]}', 'http://x/?o=%7B%22a%22%3A%201%7D&l=%5B1%2C%20%22%C3%A9%22%5D'],
    ['http://x/', '{"a":1,"a":2,"é":"✓"}', 'http://x/?a=1&a=2&%C3%A9=%E2%9C%93'],
    ['http://x/', '{"s":"\\ud800!","q":"😀"}', 'http://x/?s=%5Cud800!&q=%F0%9F%98%80'],
  ])('%s with %s', (url, payload, expected) => {
    expect(urlWithQuery(url, Buffer.from(payload))).toBe(expected);
  });
});
