import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let tokens: Record<string, string[]>;

beforeAll(async () => {
  app = await TestApp.start();
  const { token } = await app.createAccount();
  tokens = {
    'a known token': ['CL-X-TOKEN', token],
    'an unknown token': ['CL-X-TOKEN', 'AAAAAAAAAAAAAAAA'],
    'no token': [],
    'two tokens': ['CL-X-TOKEN', token, 'CL-X-TOKEN', token],
  };
});

afterAll(() => app.stop());

const tokenKinds = ['a known token', 'an unknown token', 'no token', 'two tokens'];

describe.each(['GET', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'QUERY'])('%s is refused with 405', (method) => {
  test.each(tokenKinds)('with %s', async (kind) => {
    const answer = await exchange(app.urls.ingest, { method, headers: tokens[kind] ?? [] });
    expect(answer.status).toBe(405);
    expect(answer.headers['allow']).toBe('POST');
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json).toEqual({
      success: false,
      message: 'Invalid Data',
      detail: expect.stringMatching(/POST.*\.$/),
    });
  });
});

describe('the method is judged first', () => {
  test('before a body of any kind', async () => {
    const headers = ['Content-Type', 'text/plain', ...(tokens['a known token'] ?? [])];
    const answer = await exchange(app.urls.ingest, { method: 'PUT', headers, body: 'x'.repeat(2_000_000) });
    expect(answer.status).toBe(405);
  });

  test.each(['/server/incoming_data/', '/incoming_data'])('also at %s', async (path) => {
    const answer = await exchange(new URL(path, app.urls.ingest).href, { method: 'GET' });
    expect(answer.status).toBe(405);
    expect(answer.headers['allow']).toBe('POST');
  });

  test('a method override changes nothing', async () => {
    const headers = ['X-HTTP-Method-Override', 'POST', ...(tokens['a known token'] ?? [])];
    expect((await exchange(app.urls.ingest, { method: 'GET', headers })).status).toBe(405);
  });
});

describe('HEAD and OPTIONS', () => {
  test.each(tokenKinds)('HEAD is answered like GET, without the body, with %s', async (kind) => {
    const get = await exchange(app.urls.ingest, { method: 'GET', headers: tokens[kind] ?? [] });
    const head = await exchange(app.urls.ingest, { method: 'HEAD', headers: tokens[kind] ?? [] });
    expect(head.status).toBe(405);
    expect(head.text).toBe('');
    expect(head.headers['allow']).toBe('POST');
    expect(head.headers['content-type']).toBe('application/json');
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
  });

  test.each(tokenKinds)('OPTIONS says what is allowed, with %s', async (kind) => {
    const answer = await exchange(app.urls.ingest, { method: 'OPTIONS', headers: tokens[kind] ?? [] });
    expect(answer.status).toBe(204);
    expect(answer.headers['allow']).toBe('POST');
    expect(answer.text).toBe('');
  });
});
