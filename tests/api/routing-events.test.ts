import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

type Fields = Readonly<Record<string, unknown>>;

const ROUTES = `query ($id: ID!) {
  event(id: $id) { type deliveries { id } routes { destinationId outcome path destination { id } delivery { id } } }
}`;

let app: TestApp;
let receiver: Receiver;
let accountId: string;
let token: string;

beforeAll(async () => {
  app = await TestApp.start({}, { cleaning: { graceMs: 0, lookMs: 50 } });
});

beforeEach(async () => {
  receiver = await Receiver.start();
  ({ id: accountId, token } = await app.createAccount());
});

afterEach(() => receiver.stop());
afterAll(() => app.stop());

async function destination(fields: Fields = {}): Promise<string> {
  return app.createDestination(accountId, receiver.url(), fields);
}

async function change(id: string, input: Fields): Promise<void> {
  const query =
    'mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { id } }';
  await app.data(query, { id, input });
}

async function setTypePath(path: string | null): Promise<void> {
  const query = 'mutation ($id: ID!, $path: String) { updateAccount(id: $id, input: { eventTypePath: $path }) { id } }';
  await app.data(query, { id: accountId, path });
}

async function send(
  body: string,
  headers: Record<string, string> = {},
): Promise<{ eventId: string; deliveries: number }> {
  const response = await app.send(token, body, headers);
  expect(response.status).toBe(202);
  return (await response.json()) as { eventId: string; deliveries: number };
}

async function routed(body: string, headers: Record<string, string> = {}) {
  const { eventId, deliveries } = await send(body, headers);
  const { event } = await app.data(ROUTES, { id: eventId });
  expect(event.deliveries).toHaveLength(deliveries);
  return event;
}

async function outcomes(body: string, headers: Record<string, string> = {}): Promise<unknown[]> {
  const { routes } = await routed(body, headers);
  return routes.map(({ outcome, path }: { outcome: string; path: string | null }) =>
    path === null ? outcome : [outcome, path],
  );
}

describe("an event's type", () => {
  test.each([{ 'X-Event-Type': 'order.paid' }, { 'ce-type': 'order.paid' }, { 'X-Event-Type': 'x'.repeat(128) }])(
    'is that of the header %j',
    async (headers) => {
      expect((await routed('{}', headers as Record<string, string>)).type).toBe(Object.values(headers)[0]);
    },
  );

  test("is that at the account's eventTypePath, if the header names none", async () => {
    await setTypePath('data.kind');
    expect((await routed('{"data":{"kind":"a.b"}}')).type).toBe('a.b');
    expect((await routed('{"data":{"kind":"a.b"}}', { 'X-Event-Type': 'c' })).type).toBe('c');
    for (const body of ['{}', '{"data":{"kind":5}}', '{"data":{"kind":"a b"}}', '{"data":{"kind":"data-pusher.x"}}']) {
      expect((await routed(body)).type).toBeNull();
    }
    await setTypePath(null);
    expect((await routed('{"data":{"kind":"a.b"}}')).type).toBeNull();
  });
});

describe('the routes of an event', () => {
  test('tell of each destination that the account had what became of the event there', async () => {
    const all = await destination();
    const typed = await destination({ eventTypes: ['refund.*'] });
    const filtered = await destination({ filter: { 'order.total': { $gte: 100 } } });
    const disabled = await destination();
    await change(disabled, { enabled: false });
    const { type, deliveries, routes } = await routed('{"order":{"total":99}}', { 'X-Event-Type': 'order.paid' });
    await destination();
    expect(type).toBe('order.paid');
    expect(deliveries).toHaveLength(1);
    expect(routes).toEqual([
      { destinationId: all, outcome: 'ROUTED', path: null, destination: { id: all }, delivery: deliveries[0] },
      { destinationId: typed, outcome: 'TYPE_MISMATCH', path: null, destination: { id: typed }, delivery: null },
      {
        destinationId: filtered,
        outcome: 'FILTERED',
        path: 'order.total',
        destination: { id: filtered },
        delivery: null,
      },
      { destinationId: disabled, outcome: 'DISABLED', path: null, destination: { id: disabled }, delivery: null },
    ]);
  });

  test('are none where there was no destination', async () => {
    expect((await routed('{}')).routes).toEqual([]);
  });

  test('have no destination and no delivery once the destination is deleted', async () => {
    const kept = await destination();
    const gone = await destination({ eventTypes: ['a'] });
    const delivered = await destination();
    const { eventId } = await send('{}');
    for (const id of [gone, delivered]) {
      await app.data(`mutation { deleteDestination(id: "${id}") }`);
    }
    const expected = [
      { destinationId: kept, outcome: 'ROUTED', destination: { id: kept }, delivery: { id: expect.any(String) } },
      { destinationId: gone, outcome: 'TYPE_MISMATCH', destination: null, delivery: null },
      { destinationId: delivered, outcome: 'ROUTED', destination: null, delivery: null },
    ];
    expect((await app.data(ROUTES, { id: eventId })).event.routes).toMatchObject(expected);
    const removed = async () => {
      // The server is in this process, and needs its turns.
      await setImmediate();
      return app.logLines.some((line) => line.includes('"deletion finished"') && line.includes(delivered));
    };
    await app.eventually(removed, Boolean);
    expect((await app.data(ROUTES, { id: eventId })).event.routes).toMatchObject(expected);
  });
});

describe('what a destination asks for', () => {
  test('is by default every event but those of reserved types', async () => {
    await destination();
    expect(await outcomes('{}')).toEqual(['ROUTED']);
    expect(await outcomes('{}', { 'X-Event-Type': 'any.thing' })).toEqual(['ROUTED']);
  });

  test.each([
    ['order.*', { 'order.paid': true, 'order.line.added': true, orders: false, order: false, 'x.order.paid': false }],
    ['order', { order: true, 'order.paid': false, Order: false }],
  ])('by the type %s', async (wanted, expected) => {
    await destination({ eventTypes: ['no', wanted] });
    for (const [type, isRouted] of Object.entries(expected)) {
      expect([type, await outcomes('{}', { 'X-Event-Type': type })]).toEqual([
        type,
        [isRouted ? 'ROUTED' : 'TYPE_MISMATCH'],
      ]);
    }
    expect(await outcomes('{}')).toEqual(['TYPE_MISMATCH']);
  });

  test.each<[Fields, string, unknown]>([
    [{ a: { b: 1 } }, '{"a":{"b":1,"c":2},"d":3}', 'ROUTED'],
    [{ 'a.b': 1 }, '{"a":{"b":1}}', 'ROUTED'],
    [{ a: { 'b.c': 1 } }, '{"a":{"b":{"c":1}}}', ['FILTERED', 'a.b.c']],
    [{ a: { 'b.c': 1 } }, '{"a":{"b.c":1}}', 'ROUTED'],
    [{ 'items.0.sku': 'x' }, '{"items":[{"sku":"y"},{"sku":"x"}]}', ['FILTERED', 'items.0.sku']],
    [{ 'items.sku': 'x' }, '{"items":[{"sku":"y"},{"sku":"x"}]}', 'ROUTED'],
    [{ a: 1 }, '{"a":"1"}', ['FILTERED', 'a']],
    [{ a: null }, '{"a":null}', 'ROUTED'],
    [{ a: null }, '{}', ['FILTERED', 'a']],
    [{ a: { $ne: 1 } }, '{}', 'ROUTED'],
    [{ a: { $nin: [1, 2] } }, '{"a":2}', ['FILTERED', 'a']],
    [{ a: { $in: [1, 2] } }, '{"a":[3,2]}', 'ROUTED'],
    [{ at: { $gte: '2026-01-01' } }, '{"at":"2026-06-01T00:00:00Z"}', 'ROUTED'],
    [{ at: { $gt: 5 } }, '{"at":"6"}', ['FILTERED', 'at']],
    [{ a: { $exists: false } }, '{"a":null}', ['FILTERED', 'a']],
    [{ a: { $startsWith: 'x', $endsWith: 'z', $contains: 'y' } }, '{"a":"xyz"}', 'ROUTED'],
    [{ a: { $contains: 2 } }, '{"a":[1,2]}', 'ROUTED'],
    [{ a: { $not: { $gt: 5 } } }, '{"a":6}', ['FILTERED', 'a']],
    [{ $or: [{ a: 1 }, { b: 1 }] }, '{"b":1}', 'ROUTED'],
    [{ $nor: [{ a: 1 }, { b: 1 }] }, '{"b":1}', ['FILTERED', '$nor']],
    [{ a: 9_007_199_254_740_991 }, '{"a":9007199254740993}', ['FILTERED', 'a']],
    [{}, '{}', 'ROUTED'],
  ])('by the filter %j: %s is %j', async (filter, body, expected) => {
    await destination({ filter });
    expect(await outcomes(body)).toEqual([expected]);
  });

  test('holds from the answer to the change on, for every change', async () => {
    const id = await destination();
    expect(await outcomes('{"a":1}')).toEqual(['ROUTED']);
    await change(id, { filter: { a: 2 } });
    expect(await outcomes('{"a":1}')).toEqual([['FILTERED', 'a']]);
    await change(id, { filter: null, eventTypes: ['t'] });
    expect(await outcomes('{"a":1}')).toEqual(['TYPE_MISMATCH']);
    await change(id, { enabled: false });
    expect(await outcomes('{"a":1}')).toEqual(['DISABLED']);
    await change(id, { enabled: true, eventTypes: null });
    expect(await outcomes('{"a":1}')).toEqual(['ROUTED']);
    const other = await destination();
    expect(await outcomes('{"a":1}')).toEqual(['ROUTED', 'ROUTED']);
    await app.data(`mutation { deleteDestination(id: "${other}") }`);
    expect(await outcomes('{"a":1}')).toEqual(['ROUTED']);
  });

  test('is what previewDelivery tells', async () => {
    const query = `query ($id: ID!, $text: String!) {
      previewDelivery(destinationId: $id, payloadText: $text) { outcome path }
    }`;
    const text = '{"kind":"order.paid","total":9}';
    await setTypePath('kind');
    for (const fields of [
      {},
      { eventTypes: ['refund'] },
      { filter: { total: { $lt: 5 } } },
      { filter: { total: 9 } },
    ]) {
      const id = await destination(fields);
      const { routes } = await routed(text);
      expect((await app.data(query, { id, text })).previewDelivery).toEqual({
        outcome: routes.at(-1).outcome,
        path: routes.at(-1).path,
      });
    }
  });
});

describe('deliveries', () => {
  test('carry the type, the id and the number of the attempt, as previewDelivery shows', async () => {
    const id = await destination();
    const { eventId } = await send('{}', { 'X-Event-Type': 'order.paid' });
    const [received] = await receiver.arrived(1);
    expect(received?.headers).toMatchObject({
      'x-event-type': 'order.paid',
      'x-event-id': eventId,
      'x-delivery-attempt': '1',
    });
    const query = `{ previewDelivery(destinationId: "${id}", payloadText: "{}", type: "order.paid") { headers } }`;
    const { headers } = (await app.data(query)).previewDelivery;
    expect(headers).toMatchObject({ 'X-Event-Type': 'order.paid', 'X-Delivery-Attempt': '1' });
    expect(headers['X-Event-Id']).toMatch(/^[0-9a-f-]{36}$/u);
  });

  test.each(['X-Event-Type', 'x-event-id', 'X-DELIVERY-ATTEMPT'])(
    'have no header of the user called %s',
    async (name) => {
      const query = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
      const input = { accountId, url: receiver.url(), httpMethod: 'POST', headers: { [name]: 'x' } };
      const { errors } = await app.graphql(query, { input });
      expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field: 'headers' }]);
    },
  );
});
