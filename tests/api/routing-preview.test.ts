import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HTTP_METHODS } from '../../src/core/inputs.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';
import { signedContent, verifies } from '../support/verification.ts';

const PREVIEW = `query ($id: ID!, $text: String!, $type: String, $reveal: Boolean) {
  previewDelivery(destinationId: $id, payloadText: $text, type: $type, reveal: $reveal) {
    outcome path method url headers body curl error
  }
}`;
const KIB = 1024;

let app: TestApp;
let receiver: Receiver;
let accountId: string;
let token: string;

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
});

beforeEach(async () => {
  ({ id: accountId, token } = await app.createAccount());
  receiver.received.length = 0;
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

async function destination(fields: Record<string, unknown> = {}): Promise<string> {
  return app.createDestination(accountId, receiver.url('/hook'), fields);
}

async function preview(id: string, text: string, options: { type?: string | null; reveal?: boolean } = {}) {
  return (await app.data(PREVIEW, { id, text, ...options })).previewDelivery;
}

async function change(mutation: string): Promise<void> {
  await app.data(`mutation { ${mutation} { id } }`);
}

/** By its input, because a whole script is too long for an argument. */
async function runInShell(script: string): Promise<void> {
  const shell = spawn('sh', { stdio: ['pipe', 'ignore', 'ignore'] });
  shell.stdin.end(script);
  expect(await once(shell, 'exit')).toEqual([0, null]);
}

async function refusalOf(id: string, text: string, type?: string) {
  const { data, errors } = await app.graphql(PREVIEW, { id, text, type });
  expect(data).toBeNull();
  return errors?.map(({ extensions }) => extensions);
}

describe('the outcome', () => {
  test.each([
    [{}, null, { outcome: 'ROUTED', path: null }],
    [{ eventTypes: ['order.*'] }, 'order.paid', { outcome: 'ROUTED', path: null }],
    [{ eventTypes: ['order.*'] }, 'orders', { outcome: 'TYPE_MISMATCH', path: null }],
    [{ eventTypes: ['order.*'] }, null, { outcome: 'TYPE_MISMATCH', path: null }],
    [{ filter: { 'data.kind': 'x' } }, null, { outcome: 'ROUTED', path: null }],
    [{ filter: { data: { kind: 'y' } } }, null, { outcome: 'FILTERED', path: 'data.kind' }],
    [{ filter: { 'data.n': { $gt: 5 } } }, null, { outcome: 'FILTERED', path: 'data.n' }],
    [{ eventTypes: ['a'], filter: { b: 1 } }, 'b', { outcome: 'TYPE_MISMATCH', path: null }],
  ])('for %j and the type %j is %j, and the request is shown', async (fields, type, expected) => {
    const shown = await preview(await destination(fields), '{"data":{"kind":"x","n":5}}', { type });
    expect(shown).toMatchObject({ ...expected, method: 'POST', url: receiver.url('/hook'), error: null });
    expect(shown.body).toBe('{"data":{"kind":"x","n":5}}');
  });

  test('is DISABLED for a disabled destination, before anything else', async () => {
    const id = await destination({ eventTypes: ['a'] });
    await change(`updateDestination(id: "${id}", input: { enabled: false })`);
    expect(await preview(id, '{}')).toMatchObject({ outcome: 'DISABLED', path: null, body: '{}' });
  });

  test("finds the type at the account's eventTypePath, unless one is given", async () => {
    const id = await destination({ eventTypes: ['order.*'] });
    const text = '{"data":{"type":"order.paid"}}';
    expect((await preview(id, text)).outcome).toBe('TYPE_MISMATCH');
    await change(`updateAccount(id: "${accountId}", input: { eventTypePath: "data.type" })`);
    expect((await preview(id, text)).outcome).toBe('ROUTED');
    expect((await preview(id, text, { type: 'refund' })).outcome).toBe('TYPE_MISMATCH');
    expect((await preview(id, '{"data":{"type":"order paid"}}')).outcome).toBe('TYPE_MISMATCH');
  });

  test('sends and stores nothing', async () => {
    await preview(await destination(), '{}');
    const { account } = await app.data(`{ account(id: "${accountId}") { events { totalCount } } }`);
    expect([account.events.totalCount, receiver.received]).toEqual([0, []]);
  });
});

describe('headers', () => {
  const SECRETS = {
    Authorization: 'Bearer secret',
    cookie: 'a=secret',
    'X-API-Key': 'secret',
    APP_SECRET: ['secret', 'secret'],
    'x-access-token': 'secret',
    'X-Author': 'secret',
    DbPassword: 'secret',
  };
  const OPEN = { 'X-Plain': 'plain', 'X-Tag': ['one', 'two'], 'X-Empty': '', 'X-Wide': '✓ é', 'X-Cookies': 'open' };

  test('whose names say that they are secret are masked, and the others are not', async () => {
    const { headers, curl } = await preview(await destination({ headers: { ...SECRETS, ...OPEN } }), '{}');
    const masked = Object.keys(SECRETS).map((name) => [name, name === 'APP_SECRET' ? ['***', '***'] : '***']);
    expect(headers).toMatchObject({ ...Object.fromEntries(masked), ...OPEN });
    expect(headers['webhook-signature']).toMatch(/^v1,[\w+/]{43}=$/u);
    expect(curl).not.toContain('secret');
    expect(curl).toContain("'Authorization: ***'");
  });

  test('are shown as they are with reveal', async () => {
    const { headers, curl } = await preview(await destination({ headers: { ...SECRETS, ...OPEN } }), '{}', {
      reveal: true,
    });
    expect(headers).toMatchObject({ ...SECRETS, ...OPEN });
    expect(curl).toContain("'Authorization: Bearer secret'");
  });

  test('have the names, the order and the values of a delivery', async () => {
    const id = await destination({ headers: { ...SECRETS, ...OPEN } });
    const { headers } = await preview(id, '{"a":1}', { reveal: true });
    await app.sendAccepted(token, '{"a":1}');
    const [received] = await receiver.arrived(1);
    const names = (received?.rawHeaders ?? []).filter((_, index) => index % 2 === 0);
    const sent = [...new Set(names)].filter((name) => name !== 'Connection');
    expect(Object.keys(headers)).toEqual(sent);
    expect(headers).toMatchObject({ Host: received?.headers.host, 'Content-Length': '7' });
    expect(headers['User-Agent']).toBe(received?.headers['user-agent']);
  });
});

describe('the curl command', () => {
  /** What is special to a shell, to curl, to a URL. */
  const PAYLOAD = '{"it\'s": "$(exit 1) `exit 1` \\\\ !! {a,b}[1-3] @x",\n "n": 1.0, "é": "✓ #&%", "o": {"a": [1]}}';
  const HEADERS = { Authorization: "it's $HOME", 'X-Empty': '', 'X-Tag': ['one', 'two'], 'X-Plain': '@plain;' };

  test.each(HTTP_METHODS)('sends the request that is shown: %s', async (httpMethod) => {
    const id = await app.createDestination(accountId, receiver.url('/a{b}[1-2]?x=1&y'), {
      httpMethod,
      headers: HEADERS,
    });
    const shown = await preview(id, PAYLOAD, { reveal: true });
    await runInShell(shown.curl);
    const [received] = await receiver.arrived(1);
    expect(received?.method).toBe(httpMethod);
    expect(new URL(received?.target ?? '', receiver.url()).href).toBe(shown.url);
    expect(received?.body.toString()).toBe(shown.body ?? '');
    expect(shown.body).toBe(httpMethod === 'GET' ? null : PAYLOAD);
    const sent = Object.fromEntries(Object.entries(shown.headers).map(([name, value]) => [name.toLowerCase(), value]));
    expect(received?.headers).toEqual({ ...sent, 'x-tag': 'one, two' });
    const { destination: found } = await app.data(`{ destination(id: "${id}") { signingSecret } }`);
    expect(received && verifies(received, found.signingSecret, signedContent(received))).toBe(true);
  });

  test('takes the largest payload, and the target of a GET equals that of its delivery', async () => {
    const id = await destination();
    const text = JSON.stringify({ a: "'".repeat(100 * KIB - 8) });
    expect(Buffer.byteLength(text)).toBe(100 * KIB);
    await runInShell((await preview(id, text)).curl);
    expect((await receiver.arrived(1))[0]?.body.toString()).toBe(text);
    const get = await destination({ httpMethod: 'GET' });
    const { url } = await preview(get, PAYLOAD);
    await app.sendAccepted(token, PAYLOAD);
    const delivered = (await receiver.arrived(3)).find(({ method }) => method === 'GET');
    expect(receiver.url(delivered?.target)).toBe(url);
  });
});

function deep(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
}

describe('what cannot be', () => {
  test('a GET whose payload fits into no URL has an error in the place of the request', async () => {
    const id = await destination({ httpMethod: 'GET' });
    expect(await preview(id, JSON.stringify({ a: 'x'.repeat(70_000) }))).toEqual({
      outcome: 'ROUTED',
      path: null,
      method: 'GET',
      url: null,
      headers: null,
      body: null,
      curl: null,
      error: expect.stringMatching(/^URL_TOO_LONG: The .+\.$/u),
    });
  });

  test.each(['', ' ', '[]', '1', 'null', '{"a":1', '{"a":1}{}', "{'a':1}", '{"a":"\ud800"}', '\ufeff{}'])(
    'the payload %j',
    async (text) => {
      expect(await refusalOf(await destination(), text)).toEqual([{ code: 'BAD_USER_INPUT', field: 'payloadText' }]);
    },
  );

  test('a payload that is nested too deeply, or too large', async () => {
    const id = await destination();
    expect((await preview(id, deep(1_000))).outcome).toBe('ROUTED');
    const refusal = [{ code: 'BAD_USER_INPUT', field: 'payloadText' }];
    expect(await refusalOf(id, deep(1_001))).toEqual(refusal);
    expect(await refusalOf(id, JSON.stringify({ a: 'x'.repeat(100 * KIB) }))).toEqual(refusal);
  });

  test.each(['', 'a b', 'ü', 'x'.repeat(129), 'data-pusher.x'])('the type %j', async (type) => {
    expect(await refusalOf(await destination(), '{}', type)).toEqual([{ code: 'BAD_USER_INPUT', field: 'type' }]);
  });

  test.each(['00000000-0000-7000-8000-000000000000', 'x', ''])('the destination %j', async (id) => {
    expect(await refusalOf(id, '{}')).toEqual([{ code: 'NOT_FOUND' }]);
  });

  test('a destination that was deleted', async () => {
    const id = await destination();
    await app.data(`mutation { deleteDestination(id: "${id}") }`);
    expect(await refusalOf(id, '{}')).toEqual([{ code: 'NOT_FOUND' }]);
  });
});
