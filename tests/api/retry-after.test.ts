import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { deliveriesOf, type DeliverySeen } from '../support/deliveries.ts';
import type { Intruder } from '../support/intruder.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const HOUR_MS = 3_600_000;
const DATE_IN_TWO_HOURS = 'the date in two hours';

let receiver: Receiver;

beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());

describe.each([
  ['on the main thread', '0'],
  ['in threads', '2'],
])('Retry-After, with requests made %s', (_where, SENDER_THREADS) => {
  let app: TestApp;
  let intruder: Intruder;

  beforeAll(async () => {
    app = await TestApp.start({ RETRY_SCHEDULE: '1m', SENDER_THREADS }, { random: () => 0.5 });
    intruder = await app.intrude();
  });
  afterAll(async () => {
    await intruder.close();
    await app.stop();
  });

  async function send(url = receiver.url()): Promise<string> {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, url);
    return app.sendAccepted(token, '{}');
  }

  /** The event's one delivery, once so many attempts are recorded. */
  async function attempted(eventId: string, attempts: number): Promise<DeliverySeen> {
    await app.eventually(
      () => deliveriesOf(app, eventId),
      ([first]) => first?.attempts.length === attempts,
    );
    // Read again: the delivery above may have been read before its attempts.
    const [delivery] = await deliveriesOf(app, eventId);
    return delivery as DeliverySeen;
  }

  test.each([
    [503, '7200', 2 * HOUR_MS],
    [429, '7200', 2 * HOUR_MS],
    [503, DATE_IN_TWO_HOURS, 2 * HOUR_MS],
    [503, '1', 60_000],
    [503, '999999999', 24 * HOUR_MS],
    [503, 'tomorrow', 60_000],
    [500, '7200', 60_000],
  ])('%d with %s is followed after %d ms, where a minute was planned', async (status, asked, wait) => {
    const date = new Date(Date.now() + 2 * HOUR_MS).toUTCString();
    const retryAfter = asked === DATE_IN_TWO_HOURS ? date : asked;
    receiver.answerWith((response) => response.writeHead(status, { 'Retry-After': retryAfter }).end());
    const before = Date.now();
    const { nextAttemptAt } = await attempted(await send(), 1);
    const waited = Date.parse(nextAttemptAt as string) - before;
    // A date has no milliseconds.
    expect(waited).toBeGreaterThan(wait - 1_001);
    expect(waited).toBeLessThan(wait + 15_000);
  });

  test('is over at its time, and no sooner', async () => {
    receiver.answerWith((response, _received, attempt) =>
      response.writeHead(attempt === 1 ? 503 : 200, { 'Retry-After': '7200' }).end(),
    );
    await using early = await Receiver.start((response, _received, attempt) =>
      response.writeHead(attempt === 1 ? 503 : 200, { 'Retry-After': '3600' }).end(),
    );
    const [eventId, earlyId] = [await send(), await send(early.url())];
    await Promise.all([attempted(eventId, 1), attempted(earlyId, 1)]);
    await intruder.letPass(2 * HOUR_MS - 60_000);
    // The sweep that finds one would find the other too.
    await attempted(earlyId, 2);
    expect(receiver.received).toHaveLength(1);
    await intruder.letPass(60_000);
    expect(await attempted(eventId, 2)).toMatchObject({ status: 'SUCCEEDED' });
  });
});
