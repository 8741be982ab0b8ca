import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HTTP_METHODS } from '../../src/core/inputs.ts';
import { finishedDelivery } from '../support/deliveries.ts';
import { type Received, Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';
import { signaturesOf, signedContent, verifies } from '../support/verification.ts';

const SECRET = 'query ($id: ID!) { destination(id: $id) { signingSecret } }';
const ROTATE = `mutation ($id: ID!, $overlap: Duration) {
  rotateSigningSecret(destinationId: $id, overlap: $overlap) { signingSecret updatedAt }
}`;
const ROTATE_BY_DEFAULT = 'mutation ($id: ID!) { rotateSigningSecret(destinationId: $id) { signingSecret } }';
/** What a URL spells in another way than the payload does, what a body keeps, and what is beyond ASCII. */
const PAYLOAD = '{"it\'s": "1 + 1 = \\"2\\"?",\n "n":1.0, "é":"✓ #&%", "o":{"a": [1]}}';
const MINUTE_MS = 60_000;
const LESS_THAN_A_LEASE_MS = 10_000;

let app: TestApp;
let receiver: Receiver;
/** How far the application's clock is ahead; the verifiers tolerate five minutes. */
let aheadMs = 0;

beforeAll(async () => {
  const clock = { now: () => Date.now() + aheadMs };
  app = await TestApp.start({ RETRY_SCHEDULE: '1ms,1ms' }, { clock });
});
beforeEach(async () => {
  aheadMs = 0;
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());
afterAll(() => app.stop());

interface Subject {
  readonly id: string;
  readonly token: string;
  readonly secret: string;
}

async function destination(path = '/hook', httpMethod = 'POST'): Promise<Subject> {
  const account = await app.createAccount();
  const id = await app.createDestination(account.id, receiver.url(path), { httpMethod });
  return { id, token: account.token, secret: (await app.data(SECRET, { id })).destination.signingSecret };
}

async function deliver({ token }: Subject, payload = PAYLOAD): Promise<Received> {
  const before = receiver.received.length;
  // Recorded too, so that no lease is under way when a test sets the clock.
  await finishedDelivery(app, await app.sendAccepted(token, payload));
  return receiver.received[before] as Received;
}

async function rotate({ id }: Subject, overlap: string): Promise<string> {
  return (await app.data(ROTATE, { id, overlap })).rotateSigningSecret.signingSecret;
}

describe('a delivery is signed so that standardwebhooks and svix verify it', () => {
  test.each(HTTP_METHODS)('%s: before, during and after a rotation', async (httpMethod) => {
    const subject = await destination("/hook?own=it's&empty", httpMethod);
    const before = await deliver(subject);
    expect(before.method).toBe(httpMethod);
    expect(signaturesOf(before)).toHaveLength(1);
    expect(verifies(before, subject.secret)).toBe(true);

    const secret = await rotate(subject, 'PT1M');
    expect(secret).not.toBe(subject.secret);
    const during = await deliver(subject);
    expect(signaturesOf(during)).toHaveLength(2);
    expect([verifies(during, secret), verifies(during, subject.secret)]).toEqual([true, true]);

    aheadMs += MINUTE_MS;
    const after = await deliver(subject);
    expect(signaturesOf(after)).toHaveLength(1);
    expect([verifies(after, secret), verifies(after, subject.secret)]).toEqual([true, false]);
  });

  test.each([
    ['a URL without a query', '/hook', '{"a":1}', 'a=1'],
    ['a payload without keys', '/hook', '{}', ''],
    ['a "?" with nothing behind it', '/hook?', '{}', ''],
    ["the URL's own query", '/hook?b=%20ü', '{}', 'b=%20%C3%BC'],
    ['a second "?"', '/hook?b?c', '{"a":"d?e"}', 'b?c&a=d%3Fe'],
    ['a fragment', '/hook?b#c', '{"a":1}', 'b&a=1'],
  ])('GET: of %s the query is signed as it is sent', async (_what, path, payload, query) => {
    const subject = await destination(path, 'GET');
    const received = await deliver(subject, payload);
    expect(signedContent(received).toString()).toBe(query);
    expect(verifies(received, subject.secret)).toBe(true);
  });

  test('an empty overlap ends the old secret at once, as for one that has leaked', async () => {
    const subject = await destination();
    const secret = await rotate(subject, 'PT0S');
    const received = await deliver(subject);
    expect([verifies(received, secret), verifies(received, subject.secret)]).toEqual([true, false]);
  });

  test('of secrets that are rotated during an overlap the newest two sign', async () => {
    const subject = await destination();
    const second = await rotate(subject, 'PT1H');
    const third = await rotate(subject, 'PT1M');
    const received = await deliver(subject);
    expect([third, second, subject.secret].map((secret) => verifies(received, secret))).toEqual([true, true, false]);
  });

  test('rotations at the same time are one after the other', async () => {
    const subject = await destination();
    const secrets = await Promise.all(Array.from({ length: 5 }, () => rotate(subject, 'PT1H')));
    const received = await deliver(subject);
    expect(secrets.filter((secret) => verifies(received, secret))).toHaveLength(2);
    expect(verifies(received, (await app.data(SECRET, { id: subject.id })).destination.signingSecret)).toBe(true);
  });
});

describe('what does not verify', () => {
  test('is the secret of another destination, and a delivery of which anything was changed', async () => {
    const subject = await destination();
    const other = await destination();
    expect(other.secret).not.toBe(subject.secret);
    const received = await deliver(subject);
    expect(verifies(received, subject.secret)).toBe(true);
    expect(verifies(received, other.secret)).toBe(false);
    expect(verifies(received, subject.secret, Buffer.from(PAYLOAD.replace('1.0', '1')))).toBe(false);
    for (const [name, value] of [
      ['webhook-id', crypto.randomUUID()],
      ['webhook-timestamp', String(Number(received.headers['webhook-timestamp']) + 1)],
      ['webhook-signature', 'v1,'],
      ['webhook-signature', String(received.headers['webhook-signature']).replace('v1,', 'v2,')],
    ] as const) {
      const forged = { ...received, headers: { ...received.headers, [name]: value } };
      expect(verifies(forged, subject.secret)).toBe(false);
    }
  });

  test('is a delivery that is played back later', async () => {
    const subject = await destination();
    aheadMs = -6 * MINUTE_MS;
    expect(verifies(await deliver(subject), subject.secret)).toBe(false);
  });
});

test('every retry has the same webhook-id, and a time and a signature of its own', async () => {
  receiver.answerWith((response, _received, attempt) => {
    aheadMs = attempt * LESS_THAN_A_LEASE_MS;
    response.writeHead(attempt < 3 ? 500 : 200).end();
  });
  const subject = await destination();
  const delivery = await finishedDelivery(app, await app.sendAccepted(subject.token, PAYLOAD));
  expect(delivery).toMatchObject({ status: 'SUCCEEDED', attemptCount: 3 });
  const { received } = receiver;
  expect(received.map(({ headers }) => headers['webhook-id'])).toEqual([delivery.id, delivery.id, delivery.id]);
  expect(new Set(received.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(3);
  expect(new Set(received.map(({ headers }) => headers['webhook-signature'])).size).toBe(3);
  expect(received.map((one) => verifies(one, subject.secret))).toEqual([true, true, true]);
});

describe('rotateSigningSecret', () => {
  test('overlaps for a day unless it is told otherwise', async () => {
    const subject = await destination();
    aheadMs = -24 * 60 * MINUTE_MS + 2 * MINUTE_MS;
    await app.data(ROTATE_BY_DEFAULT, { id: subject.id });
    await app.data(ROTATE, { id: (await destination()).id, overlap: null });
    aheadMs = 0;
    expect(verifies(await deliver(subject), subject.secret)).toBe(true);
    aheadMs = 3 * MINUTE_MS;
    expect(verifies(await deliver(subject), subject.secret)).toBe(false);
  });

  test.each([
    ['P31D', /^The overlap must be an ISO 8601 duration from PT0S to P30D\.$/u],
    ['-PT1S', /^The overlap must be an ISO 8601 duration that is not negative\.$/u],
    ['P1Y', /^The overlap must be an ISO 8601 duration without years and months, because their length varies; /u],
    ['P1M', /^The overlap must be an ISO 8601 duration without years and months, because their length varies; /u],
    ['1 day', /^The overlap must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, /u],
    ['', /^The overlap must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, /u],
    [3600, /^The overlap must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, /u],
  ])('refuses an overlap of %p', async (overlap, rule) => {
    const subject = await destination();
    for (const answer of [
      await app.graphql(ROTATE, { id: subject.id, overlap }),
      await app.graphql(
        `mutation ($id: ID!) {
        rotateSigningSecret(destinationId: $id, overlap: ${JSON.stringify(overlap)}) { id }
      }`,
        { id: subject.id },
      ),
    ]) {
      expect(answer.errors).toMatchObject([
        {
          message: expect.stringMatching(rule),
          extensions: { code: 'BAD_USER_INPUT', field: 'overlap' },
        },
      ]);
    }
    expect(await app.data(SECRET, { id: subject.id })).toEqual({ destination: { signingSecret: subject.secret } });
  });

  test('is whsec_ and 24 random bytes, and stays as it is when the destination is changed', async () => {
    const { id, secret } = await destination();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/u);
    const update = 'mutation ($id: ID!) { updateDestination(id: $id, input: { httpMethod: PUT }) { signingSecret } }';
    expect((await app.data(update, { id })).updateDestination.signingSecret).toBe(secret);
  });
});
