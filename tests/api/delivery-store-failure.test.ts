import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Intruder } from '../support/intruder.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

/** More tickets than a lane holds, so that no sweep brings it any. */
const EVENTS = 1_000;
/** More than the lane held. Where tickets travel, those that were on their way may take another 30 s. */
const SOON = 600;

let app: TestApp;
let intruder: Intruder;

beforeEach(async () => {
  app = await TestApp.start({ MAX_CONCURRENCY_PER_DESTINATION: '1' });
  intruder = await app.intrude();
});

afterEach(async () => {
  await intruder.close();
  await app.stop();
});

test('deliveries go on after a failure of the database, also when the worker has all the tickets it can hold', async () => {
  const held: (() => void)[] = [];
  await using receiver = await Receiver.start((response) => void held.push(() => response.end()));
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url());
  await Promise.all(Array.from({ length: EVENTS }, (_, number) => app.sendAccepted(token, `{"number":${number}}`)));
  await receiver.arrived(1);
  await intruder.execute('alter table delivery rename to away');
  receiver.answerWith((response) => response.end());
  held[0]?.();
  await app.eventually(
    async () => (await fetch(`${app.urls.health}/live`)).status,
    () => app.logLines.some((line) => line.includes('"during":"record"')),
  );
  await intruder.execute('alter table away rename to delivery');
  await receiver.arrived(SOON);
  const numbers = receiver.received.map(({ body }) => JSON.parse(body.toString()).number as number);
  expect(new Set(numbers).size).toBe(numbers.length);
}, 90_000);
