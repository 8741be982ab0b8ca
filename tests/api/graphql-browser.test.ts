import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const SANDBOX_ORIGINS = ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'];
const OTHER_ORIGINS = [
  'https://evil.example',
  'https://studio.apollographql.com.evil.example',
  'https://evil-studio.apollographql.com',
  'http://studio.apollographql.com',
  'http://localhost.evil.example',
  'null',
];

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

function preflight(origin: string): Promise<RawAnswer> {
  return exchange(app.urls.graphql, {
    method: 'OPTIONS',
    headers: [
      'Origin',
      origin,
      'Access-Control-Request-Method',
      'POST',
      'Access-Control-Request-Headers',
      'content-type',
    ],
  });
}

function post(origin: string): Promise<RawAnswer> {
  return exchange(app.urls.graphql, {
    headers: ['Origin', origin, 'Content-Type', 'application/json'],
    body: '{"query":"{ __typename }"}',
  });
}

describe('Apollo Sandbox', () => {
  test('a browser that opens the address gets the landing page', async () => {
    const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
    const answer = await exchange(app.urls.graphql, { method: 'GET', headers: ['Accept', accept] });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/html/);
    expect(answer.text.toLowerCase()).toContain('sandbox');
  });

  test.each(SANDBOX_ORIGINS)('may call the API from %s', async (origin) => {
    const asked = await preflight(origin);
    expect(asked.status).toBe(204);
    expect(asked.headers['access-control-allow-origin']).toBe(origin);
    expect(asked.headers['access-control-allow-methods']).toContain('POST');
    expect(asked.headers['access-control-allow-headers']).toContain('content-type');
    expect(asked.headers['vary']).toContain('Origin');
    const answered = await post(origin);
    expect(answered.json).toEqual({ data: { __typename: 'Query' } });
    expect(answered.headers['access-control-allow-origin']).toBe(origin);
  });

  test('can read how long to wait when it is refused', async () => {
    const limited = await TestApp.start({ ADMIN_TOKEN: 'a'.repeat(24), AUTH_FAILURE_RATE: '1/m' });
    const origin = SANDBOX_ORIGINS[0] as string;
    const headers = ['Origin', origin, 'Content-Type', 'application/json', 'Authorization', 'Bearer wrong'];
    const ask = () => exchange(limited.urls.graphql, { headers, body: '{"query":"{ __typename }"}' });
    expect((await ask()).status).toBe(401);
    const refused = await ask();
    await limited.stop();
    expect(refused.status).toBe(429);
    expect(refused.headers['access-control-allow-origin']).toBe(origin);
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect(refused.headers['access-control-expose-headers']).toBe('Retry-After');
  });

  test('may call a server on this machine from a public page', async () => {
    const origin = SANDBOX_ORIGINS[0] as string;
    const headers = ['Origin', origin, 'Access-Control-Request-Method', 'POST'];
    const local = ['Access-Control-Request-Private-Network', 'true'];
    const answer = await exchange(app.urls.graphql, { method: 'OPTIONS', headers: [...headers, ...local] });
    expect(answer.headers['access-control-allow-private-network']).toBe('true');
  });
});

describe('any other page', () => {
  test.each(OTHER_ORIGINS)('may not: %s', async (origin) => {
    for (const answer of [await preflight(origin), await post(origin)]) {
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
      expect(answer.headers['access-control-allow-private-network']).toBeUndefined();
    }
  });

  test('is allowed no credentials even where it may call', async () => {
    const answer = await preflight(SANDBOX_ORIGINS[0] as string);
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('may not call the ingest route', async () => {
    const headers = ['Origin', SANDBOX_ORIGINS[0] as string, 'Access-Control-Request-Method', 'POST'];
    const answer = await exchange(app.urls.ingest, { method: 'OPTIONS', headers });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});
