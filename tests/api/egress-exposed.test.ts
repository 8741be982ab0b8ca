import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ADMIN_TOKEN, administratorOf, type Caller } from '../support/caller.ts';
import { ConnectionCounter } from '../support/connection-counter.ts';
import { TestApp } from '../support/test-app.ts';

const EXPOSED = { HOST: '0.0.0.0', ADMIN_TOKEN, ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') };
const CREATE = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
const ATTEMPTS = 'query ($id: ID!) { event(id: $id) { deliveries { status attempts { statusCode error message } } } }';
const HERE = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));

describe.each(['0', '1'])('an exposed server with SENDER_THREADS=%s', (SENDER_THREADS) => {
  let app: TestApp;
  let administrator: Caller;
  let receiver: ConnectionCounter;

  beforeAll(async () => {
    app = await TestApp.start({ ...EXPOSED, SENDER_THREADS, RETRY_SCHEDULE: '1ms', ALLOW_DESTINATIONS: '127.0.0.2' });
    administrator = administratorOf(app);
    receiver = await ConnectionCounter.start('0.0.0.0');
  });
  afterAll(async () => {
    await app.stop();
    await receiver.stop();
  });

  async function deliver(host: string): Promise<{ status: string; attempts: unknown[] }> {
    const { id, token } = await administrator.createAccount();
    await administrator.createDestination(id, `http://${host}:${receiver.port}/`);
    const eventId = await administrator.sendAccepted(token, '{}');
    const [delivery] = await administrator.eventually(
      async () => (await administrator.data(ATTEMPTS, { id: eventId })).event.deliveries,
      ([one]) => one.status !== 'PENDING',
    );
    return delivery;
  }

  test.each(['127.0.0.1', '127.1', ...HERE.map((one) => (one.includes(':') ? `[${one}]` : one))])(
    'refuses a destination at its own address %s',
    async (host) => {
      const { id } = await administrator.createAccount();
      const url = `http://${host}:${new URL(app.urls.ingest).port}/server/incoming_data`;
      const input = { accountId: id, url, httpMethod: 'POST', headers: { X: '1' } };
      const { errors } = await administrator.graphql(CREATE, { input });
      expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field: 'url' }]);
    },
  );

  test('delivers to an address that is allowed all the same', async () => {
    expect(await deliver('127.0.0.2')).toEqual({
      status: 'SUCCEEDED',
      attempts: [{ statusCode: 200, error: null, message: null }],
    });
  });

  test('refuses a name that leads to loopback at each attempt, and tells so', async () => {
    const before = receiver.connections;
    const message = expect.stringMatching(
      /^The host name leads to (127\.0\.0\.1|::1|, )+, which must not be called\.$/u,
    );
    const refused = { statusCode: null, error: 'ADDRESS_REFUSED', message };
    expect(await deliver('localhost')).toEqual({ status: 'FAILED', attempts: [refused, refused] });
    expect(receiver.connections).toBe(before);
  });
});
