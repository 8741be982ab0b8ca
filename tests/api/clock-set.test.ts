import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { deliveriesOf } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const HOUR_MS = 3_600_000;

let app: TestApp;
let aheadMs: number;

beforeEach(async () => {
  aheadMs = 0;
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms,1ms' }, { clock: { now: () => Date.now() + aheadMs } });
});
afterEach(() => app.stop());

test('a clock that is set forwards or back stops no delivery, and sends none twice that is under way', async () => {
  const held: ServerResponse[] = [];
  await using slow = await Receiver.start((response) => void held.push(response));
  await using failing = await Receiver.start((response, _received, attempt) =>
    response.writeHead(attempt % 2 === 0 ? 200 : 500).end(),
  );
  const { id, token } = await app.createAccount();
  await app.createDestination(id, slow.url());
  const eventId = await app.sendAccepted(token, '{}');
  await slow.arrived(1);

  const other = await app.createAccount();
  await app.createDestination(other.id, failing.url());
  for (const [index, ahead] of [HOUR_MS, -HOUR_MS, 0].entries()) {
    aheadMs = ahead;
    await app.sendAccepted(other.token, '{}');
    // The second attempt is found by a sweep, which would find a lease that is over too.
    await failing.arrived(2 * index + 2);
  }
  expect(slow.received).toHaveLength(1);
  held[0]?.end();
  const [delivery] = await app.eventually(
    () => deliveriesOf(app, eventId),
    ([first]) => first?.status === 'SUCCEEDED',
  );
  expect(delivery).toMatchObject({ attemptCount: 1 });
});
