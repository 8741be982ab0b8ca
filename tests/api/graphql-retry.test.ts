import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { heldAnswers, sendOne, settled } from '../support/outbox.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const RETRY = `mutation ($id: ID!) {
  retryDelivery(id: $id) { id status attemptCount nextAttemptAt completedAt attempts { number } }
}`;

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms' });
});

afterAll(() => app.stop());

describe('retryDelivery', () => {
  test('sends a failed delivery again at once, keeps its history, and has the whole schedule before it', async () => {
    await using receiver = await Receiver.start((response) => response.writeHead(503).end('not yet'));
    const { deliveryId } = await sendOne(app, receiver.url());
    const failed = await settled(app, deliveryId, 'FAILED');
    expect(failed).toMatchObject({ attemptCount: 3, nextAttemptAt: null, completedAt: expect.any(String) });
    expect(failed.attempts).toMatchObject(
      [1, 2, 3].map((number) => ({ number, statusCode: 503, error: 'HTTP_STATUS', responseBody: 'not yet' })),
    );
    const { retryDelivery: retried } = await app.data(RETRY, { id: deliveryId });
    expect(retried).toMatchObject({ id: deliveryId, status: 'PENDING', completedAt: null });
    expect(retried.nextAttemptAt).not.toBeNull();
    expect((await settled(app, deliveryId, 'FAILED')).attempts).toHaveLength(6);
    receiver.answerWith((response) => response.end('ok'));
    await app.data(RETRY, { id: deliveryId });
    const succeeded = await settled(app, deliveryId, 'SUCCEEDED');
    expect(succeeded.attempts.map(({ number }: { number: number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(succeeded.attempts.slice(0, 3)).toEqual(failed.attempts);
    expect(succeeded.attempts[6]).toMatchObject({ statusCode: 200, error: null, responseBody: 'ok' });
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([deliveryId]));
  });

  test('sends a delivery that has succeeded once more', async () => {
    await using receiver = await Receiver.start();
    const { deliveryId } = await sendOne(app, receiver.url());
    await settled(app, deliveryId, 'SUCCEEDED');
    await app.data(RETRY, { id: deliveryId });
    const [first, second] = await receiver.arrived(2);
    expect(second?.body.equals(first?.body ?? Buffer.alloc(0))).toBe(true);
  });

  test('is refused with CONFLICT while the delivery is pending, and changes nothing', async () => {
    const { answer, release } = heldAnswers();
    await using receiver = await Receiver.start(answer);
    const { deliveryId } = await sendOne(app, receiver.url());
    await receiver.arrived(1);
    const { errors } = await app.graphql(RETRY, { id: deliveryId });
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'CONFLICT' }]);
    release();
    expect(await settled(app, deliveryId, 'SUCCEEDED')).toMatchObject({ attemptCount: 1 });
    expect(receiver.received).toHaveLength(1);
  });
});
