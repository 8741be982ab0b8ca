import type { RequestSource } from '../../src/core/outgoing-request.ts';

let destinations = 0;

/** What a sender is given, of a destination that it has not heard of before unless `fields` name one. */
export function requestSource(fields: Partial<RequestSource> & Pick<RequestSource, 'url'>): RequestSource {
  destinations += 1;
  return {
    destinationId: `destination-${destinations}`,
    destinationVersion: 1,
    httpMethod: 'POST',
    headers: [],
    signingSecrets: [],
    deliveryId: 'delivery',
    eventId: 'event',
    eventType: null,
    attempt: 1,
    hops: 0,
    payload: Buffer.from('{}'),
    ...fields,
  };
}
