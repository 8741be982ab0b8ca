import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { deliveriesOf, finishedDelivery } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const DISABLED_AT = 'query ($id: ID!) { destination(id: $id) { disabledAt } }';
const UPDATE = `mutation ($id: ID!, $input: UpdateDestinationInput!) {
  updateDestination(id: $id, input: $input) { url disabledAt }
}`;

let app: TestApp;
let receiver: Receiver;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '300ms,300ms', MAX_CONCURRENCY_PER_DESTINATION: '1' });
});
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());
afterAll(() => app.stop());

const disabledAt = async (id: string) => (await app.data(DISABLED_AT, { id })).destination.disabledAt;
const update = async (id: string, input: object) => (await app.data(UPDATE, { id, input })).updateDestination;

async function subject(): Promise<{ id: string; token: string }> {
  const { id, token } = await app.createAccount();
  return { id: await app.createDestination(id, receiver.url()), token };
}

/** Waits until retries that were planned before must have been made. */
async function letRetriesPass(): Promise<void> {
  await using other = await Receiver.start((response, _received, attempt) =>
    response.writeHead(attempt < 3 ? 500 : 200).end(),
  );
  const { id, token } = await app.createAccount();
  await app.createDestination(id, other.url());
  await finishedDelivery(app, await app.sendAccepted(token, '{}'));
}

describe('a destination that answers 410 Gone', () => {
  test('is disabled, and the delivery has failed without another attempt', async () => {
    receiver.answerWith((response) => response.writeHead(410).end('away'));
    const { id, token } = await subject();
    expect(await disabledAt(id)).toBeNull();
    const delivery = await finishedDelivery(app, await app.sendAccepted(token, '{}'));
    expect(delivery).toMatchObject({ status: 'FAILED', attemptCount: 1, nextAttemptAt: null });
    expect(delivery.attempts).toMatchObject([{ statusCode: 410, error: 'HTTP_STATUS', responseBody: 'away' }]);
    expect(await disabledAt(id)).toBe(delivery.completedAt);
  });

  test('gets no new events, and the other destinations of the account do', async () => {
    receiver.answerWith((response) => response.writeHead(410).end());
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url());
    await finishedDelivery(app, await app.sendAccepted(token, '{}'));
    await using other = await Receiver.start();
    await app.createDestination(id, other.url());
    expect(await (await app.send(token, '{}')).json()).toMatchObject({ success: true, deliveries: 1 });
    await other.arrived(1);
    expect(receiver.received).toHaveLength(1);
  });

  test('is not asked for what is pending until it is enabled again; then all of it goes on', async () => {
    receiver.answerWith((response, { body }) => response.writeHead(body.length > 2 ? 410 : 500).end());
    const { id, token } = await subject();
    const pending = await app.sendAccepted(token, '{}');
    await receiver.arrived(1);
    await finishedDelivery(app, await app.sendAccepted(token, '{"last":1}'));
    const sent = receiver.received.length;
    await letRetriesPass();
    expect(receiver.received).toHaveLength(sent);
    expect(await deliveriesOf(app, pending)).toMatchObject([{ status: 'PENDING' }]);

    receiver.answerWith((response) => response.end());
    expect(await update(id, { enabled: true })).toMatchObject({ disabledAt: null });
    expect(await finishedDelivery(app, pending)).toMatchObject({ status: 'SUCCEEDED' });
    expect(await (await app.send(token, '{}')).json()).toMatchObject({ deliveries: 1 });
  });

  test('keeps what is retried by hand for later', async () => {
    receiver.answerWith((response) => response.writeHead(410).end());
    const { id, token } = await subject();
    const eventId = await app.sendAccepted(token, '{}');
    const failed = await finishedDelivery(app, eventId);
    await app.data('mutation ($id: ID!) { retryDelivery(id: $id) { id } }', { id: failed.id });
    await letRetriesPass();
    expect(await deliveriesOf(app, eventId)).toMatchObject([{ status: 'PENDING', attemptCount: 1 }]);
    receiver.answerWith((response) => response.end());
    await update(id, { enabled: true });
    expect(await finishedDelivery(app, eventId)).toMatchObject({ status: 'SUCCEEDED', attemptCount: 2 });
  });

  test('says so again when it is enabled too early', async () => {
    receiver.answerWith((response) => response.writeHead(410).end());
    const { id, token } = await subject();
    await finishedDelivery(app, await app.sendAccepted(token, '{}'));
    await update(id, { enabled: true });
    await finishedDelivery(app, await app.sendAccepted(token, '{}'));
    expect(await disabledAt(id)).not.toBeNull();
  });

  test('is told of in the log, without its URL', async () => {
    receiver.answerWith((response) => response.writeHead(410).end());
    const { id, token } = await subject();
    await finishedDelivery(app, await app.sendAccepted(token, '{}'));
    const line = app.logLines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'destination gone');
    expect(line).toMatchObject({ level: 30 });
    expect(app.logLines.filter((text) => text.includes('"destination gone"') && text.includes(id))).toHaveLength(1);
  });
});

describe('updateDestination', () => {
  test('disables a destination, and keeps since when', async () => {
    const { id, token } = await subject();
    const { disabledAt: since } = await update(id, { enabled: false });
    expect(Date.parse(since)).toBeGreaterThan(Date.now() - 60_000);
    expect(await (await app.send(token, '{}')).json()).toMatchObject({ deliveries: 0 });
    expect(await update(id, { enabled: false })).toMatchObject({ disabledAt: since });
  });

  test('leaves it as it stands when something else is changed', async () => {
    const { id } = await subject();
    await update(id, { enabled: false });
    const url = receiver.url('/elsewhere');
    expect(await update(id, { url })).toEqual({ url, disabledAt: expect.any(String) });
    await update(id, { enabled: true });
    expect(await update(id, { httpMethod: 'PUT' })).toEqual({ url, disabledAt: null });
  });

  test('refuses to make it neither', async () => {
    const { id } = await subject();
    const { errors } = await app.graphql(UPDATE, { id, input: { enabled: null } });
    expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'enabled' });
  });
});
