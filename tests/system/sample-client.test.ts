import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sendEvent } from '../../samples/client.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const bench = new Workbench();
let server: ServerProcess;
let token: string;

beforeAll(async () => {
  server = await bench.start({ MAX_BODY_BYTES: '100' });
  ({ token } = await server.createAccount());
});

afterAll(() => bench.clear());

describe('the sample client', () => {
  test('answers the id of an event that was stored', async () => {
    const { eventId, deliveries } = await sendEvent({ hello: 'world' }, { url: server.urls.ingest, token });
    const { event } = await server.data('query ($id: ID!) { event(id: $id) { payloadText } }', { id: eventId });
    expect({ event, deliveries }).toEqual({ event: { payloadText: '{"hello":"world"}' }, deliveries: 0 });
  });

  test.each([
    ['a wrong token', '{}', 'A'.repeat(16), 'UnauthenticatedError', /^Un Authenticate$/u],
    ['an event that is no object', '[]', undefined, 'InvalidEventError', /JSON object/u],
    ['an event that is too large', { text: 'x'.repeat(100) }, undefined, 'EventTooLargeError', /100 bytes/u],
  ])('tells %s from other failures, with the reason', async (_what, event, wrongToken, name, message) => {
    const sending = sendEvent(event, { url: server.urls.ingest, token: wrongToken ?? token });
    await expect(sending).rejects.toMatchObject({ name, message: expect.stringMatching(message) });
  });

  test('sends again after the time that a busy server asks for', async () => {
    const busy = await bench.receiver((response, _received, attempt) => {
      if (attempt === 1) {
        response.writeHead(429, { 'Retry-After': '1' }).end();
      } else {
        response.writeHead(202).end('{"success":true,"message":"Data Received","eventId":"e","deliveries":1}');
      }
    });
    const started = performance.now();
    expect(await sendEvent({}, { url: busy.url(), token })).toEqual({ eventId: 'e', deliveries: 1 });
    expect(performance.now() - started).toBeGreaterThan(990);
    expect(busy.received).toHaveLength(2);
    expect(new Set(busy.received.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  });

  test('an event that is sent again under its key is stored once', async () => {
    const options = { url: server.urls.ingest, token, idempotencyKey: 'mine' };
    const { eventId } = await sendEvent({}, options);
    expect((await sendEvent({}, options)).eventId).toBe(eventId);
    expect((await sendEvent({}, { ...options, idempotencyKey: 'another' })).eventId).not.toBe(eventId);
  });

  test('gives up after the last retry, and leaves the event to the caller', async () => {
    const busy = await bench.receiver((response) => response.writeHead(503, { 'Retry-After': '0' }).end());
    const sending = sendEvent({}, { url: busy.url(), token, retries: 2 });
    await expect(sending).rejects.toMatchObject({ name: 'ServiceUnavailableError' });
    expect(busy.received).toHaveLength(3);
  });
});
