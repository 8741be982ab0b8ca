import { afterEach, describe, expect, test } from '@jest/globals';
import { ADMIN_TOKEN, administratorOf } from '../support/caller.ts';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const WRONG_TOKEN = 'AAAAAAAAAAAAAAAA';
const QUERY = '{ accounts { totalCount } }';

let now = Date.UTC(2026, 0, 1);
let app: TestApp;

afterEach(() => app.stop());

async function start(variables: Record<string, string>): Promise<void> {
  app = await TestApp.start(variables, { clock: { now: () => now } });
}

function post(token: string, { headers = [] as readonly string[], body = '{}' } = {}): Promise<RawAnswer> {
  const all = ['Content-Type', 'application/json', 'CL-X-TOKEN', token, ...headers];
  return exchange(app.urls.ingest, { headers: all, body });
}

function ask(headers: readonly string[]): Promise<RawAnswer> {
  const all = ['Content-Type', 'application/json', ...headers];
  return exchange(app.urls.graphql, { headers: all, body: JSON.stringify({ query: QUERY }) });
}

function limitOf({ headers }: RawAnswer): unknown[] {
  return ['limit', 'remaining', 'reset'].map((name) => headers[`ratelimit-${name}`]);
}

function from(...addresses: string[]): string[] {
  return ['X-Forwarded-For', addresses.join(', ')];
}

async function expectFailures(times: number, headers: readonly string[] = []): Promise<void> {
  for (let time = 1; time <= times; time += 1) {
    expect((await post(WRONG_TOKEN, { headers })).status).toBe(401);
  }
}

describe('the limit of an account', () => {
  test('lets a burst through and then the rate, and tells how much is left and when to come again', async () => {
    await start({ INGEST_RATE: '2/m', INGEST_BURST: '3' });
    const { id, token } = await app.createAccount();
    const { token: other } = await app.createAccount();
    expect(limitOf(await post(token))).toEqual(['3', '2', '30']);
    expect(limitOf(await post(token))).toEqual(['3', '1', '60']);
    expect(limitOf(await post(token))).toEqual(['3', '0', '90']);

    now += 10_500;
    const refused = await post(token);
    expect(refused.status).toBe(429);
    expect(refused.json).toEqual({ success: false, message: 'Too Many Requests', detail: expect.any(String) });
    expect(refused.headers['retry-after']).toBe('20');
    expect(limitOf(refused)).toEqual(['3', '0', '80']);
    expect((await post(other)).status).toBe(202);

    now += 19_500;
    expect((await post(token)).status).toBe(202);
    expect((await post(token)).status).toBe(429);
    const { account } = await app.data('query ($id: ID!) { account(id: $id) { events { totalCount } } }', { id });
    expect(account.events.totalCount).toBe(4);
  });

  test('of events that come at once lets through the burst and no more', async () => {
    await start({ INGEST_RATE: '1/h', INGEST_BURST: '10' });
    const { token } = await app.createAccount();
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(token)));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(40);
  });

  test('is not made larger by a new token, and stands on refusals too', async () => {
    await start({ INGEST_RATE: '1/h', INGEST_BURST: '2' });
    const { id, token } = await app.createAccount();
    const bad = await post(token, { body: '[]' });
    expect([bad.status, ...limitOf(bad)]).toEqual([400, '2', '1', '3600']);
    const rotate = 'mutation ($id: ID!) { rotateAppSecretToken(accountId: $id) { appSecretToken } }';
    const { rotateAppSecretToken: next } = await app.data(rotate, { id });
    expect((await post(token)).status).toBe(401);
    expect((await post(next.appSecretToken)).status).toBe(429);
  });

  test('is not asked of a token that nobody has', async () => {
    await start({ INGEST_RATE: '1/h' });
    const answer = await post(WRONG_TOKEN, { body: '[' });
    expect([answer.status, ...limitOf(answer)]).toEqual([401, undefined, undefined, undefined]);
  });

  test('is off by default on loopback, and there are no headers of it', async () => {
    await start({});
    const { token } = await app.createAccount();
    expect(limitOf(await post(token))).toEqual([undefined, undefined, undefined]);
  });
});

describe('the limit of failed authentications', () => {
  test('refuses an address that has guessed too often, on both ways in, until the time is over', async () => {
    await start({ AUTH_FAILURE_RATE: '4/m', ADMIN_TOKEN });
    const { token } = await administratorOf(app).createAccount();
    await expectFailures(2);
    expect((await ask(['Authorization', 'Bearer wrong'])).status).toBe(401);
    now += 18_500;
    expect((await ask([])).status).toBe(401);

    const refused = await post(token);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('42');
    expect(refused.json).toEqual({ success: false, message: 'Too Many Requests', detail: expect.any(String) });
    const unasked = await ask(['CL-X-TOKEN', token]);
    expect(unasked.status).toBe(429);
    expect(unasked.headers['retry-after']).toBe('42');
    expect(unasked.json.errors[0].extensions).toEqual({ code: 'TOO_MANY_REQUESTS' });

    now += 41_500;
    expect((await post(token)).status).toBe(202);
  });

  test('lets in what was right from there before, and what is wrong by now no more', async () => {
    await start({ AUTH_FAILURE_RATE: '2/m', ADMIN_TOKEN });
    const administrator = administratorOf(app);
    const { id, token } = await administrator.createAccount();
    expect((await post(token)).status).toBe(202);
    await expectFailures(2);
    expect((await post(WRONG_TOKEN)).status).toBe(429);
    expect((await post(token)).status).toBe(202);
    await administrator.data('mutation ($id: ID!) { rotateAppSecretToken(accountId: $id) { id } }', { id });
    expect((await post(token)).status).toBe(401);
    expect((await post(token)).status).toBe(429);
  });

  test('does not count a bad event of a known account', async () => {
    await start({ AUTH_FAILURE_RATE: '1/m' });
    const { token } = await app.createAccount();
    expect((await post(token, { body: '[]' })).status).toBe(400);
    expect((await post(token, { body: '[]' })).status).toBe(400);
  });

  test('is off by default on loopback', async () => {
    await start({});
    await expectFailures(50);
  });
});

async function statusFrom(...addresses: string[]): Promise<number> {
  return (await post(WRONG_TOKEN, { headers: from(...addresses) })).status;
}

describe('behind a proxy', () => {
  test('nobody is believed by default: another name does not make another address', async () => {
    await start({ AUTH_FAILURE_RATE: '2/m' });
    await expectFailures(1, from('192.0.2.1'));
    await expectFailures(1, from('192.0.2.2'));
    expect(await statusFrom('192.0.2.3')).toBe(429);
  });

  test.each(['1', '127.0.0.0/8', 'loopback'])(
    'TRUST_PROXY=%s believes the last address and no other',
    async (trust) => {
      await start({ AUTH_FAILURE_RATE: '2/m', TRUST_PROXY: trust });
      await expectFailures(1, from('198.51.100.1', '192.0.2.1'));
      await expectFailures(1, from('198.51.100.2', '192.0.2.1'));
      expect(await statusFrom('198.51.100.3', '192.0.2.1')).toBe(429);
      expect(await statusFrom('192.0.2.2')).toBe(401);
    },
  );

  test('a network that is trusted is passed over, so that several proxies may stand in a row', async () => {
    await start({ AUTH_FAILURE_RATE: '1/m', TRUST_PROXY: '127.0.0.1,10.0.0.0/8' });
    await expectFailures(1, from('203.0.113.9', '192.0.2.1', '10.1.2.3'));
    expect(await statusFrom('192.0.2.1', '10.9.9.9')).toBe(429);
    expect(await statusFrom('203.0.113.9')).toBe(401);
  });

  test('all of an IPv6 network is one address, and so is IPv4 in either spelling', async () => {
    await start({ AUTH_FAILURE_RATE: '1/m', TRUST_PROXY: '1' });
    await expectFailures(1, from('2001:db8::1'));
    expect(await statusFrom('2001:db8::ffff:2')).toBe(429);
    expect(await statusFrom('2001:db8:0:1::1')).toBe(401);
    await expectFailures(1, from('192.0.2.7'));
    expect(await statusFrom('::ffff:192.0.2.7')).toBe(429);
  });

  test('what is no address counts as the proxy', async () => {
    await start({ AUTH_FAILURE_RATE: '2/m', TRUST_PROXY: '1' });
    await expectFailures(1, from('unknown'));
    await expectFailures(1, from('192.0.2.1:4711'));
    expect(await statusFrom('x'.repeat(4_000))).toBe(429);
  });
});
