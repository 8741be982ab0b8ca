import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let receiver: Receiver;

beforeEach(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms' });
  receiver = await Receiver.start();
});

afterEach(async () => {
  await app.stop();
  await receiver.stop();
});

describe('delivery', () => {
  test('a POST destination gets the received bytes', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, receiver.url('/hook'));
    await app.sendAccepted(token, '{"a": 1.0}');
    const [received] = await receiver.arrived(1);
    expect(received?.body.toString()).toBe('{"a": 1.0}');
  });
});
