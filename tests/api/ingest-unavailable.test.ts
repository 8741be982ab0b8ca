import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, type RawAnswer } from '../support/exchange.ts';
import type { Intruder } from '../support/intruder.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let intruder: Intruder;
let account: { id: string; token: string };

beforeAll(async () => {
  app = await TestApp.start();
  intruder = await app.intrude();
  account = await app.createAccount();
});

afterAll(async () => {
  await intruder.close();
  await app.stop();
});

function post(body: string, token = account.token): Promise<RawAnswer> {
  return exchange(app.urls.ingest, {
    headers: ['Content-Type', 'application/json', 'CL-X-TOKEN', token],
    body,
  });
}

async function storedPayloads(): Promise<string[]> {
  const query = 'query ($id: ID!) { account(id: $id) { events(first: 100) { nodes { payloadText } } } }';
  const { account: found } = await app.data(query, { id: account.id });
  return found.events.nodes.map(({ payloadText }: { payloadText: string }) => payloadText);
}

function expectUnavailable(answer: RawAnswer): void {
  expect(answer.status).toBe(503);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.text).toBe('{"success":false,"message":"Service Unavailable"}');
}

describe('an event that cannot be committed gets 503, never a false 202', () => {
  test('while another process holds the write lock; once it is gone, events are accepted again', async () => {
    await intruder.lock();
    const refused = await post('{"during":"the lock"}');
    await intruder.unlock();
    expectUnavailable(refused);
    expect((await post('{"after":"the lock"}')).status).toBe(202);
    expect(await storedPayloads()).toEqual(['{"after":"the lock"}']);
  });

  test('of many that share a commit, all are refused and none is stored', async () => {
    const before = await storedPayloads();
    await intruder.execute('alter table event rename to away');
    const refused = await Promise.all(Array.from({ length: 20 }, (_, index) => post(`{"refused":${index}}`)));
    await intruder.execute('alter table away rename to event');
    for (const answer of refused) {
      expectUnavailable(answer);
    }
    expect(await storedPayloads()).toEqual(before);
    expect((await post('{"after":"the accident"}')).status).toBe(202);
  });

  test('also when only the token of a bad body has to be looked up', async () => {
    await intruder.execute('alter table account rename to away');
    const refused = await post('not JSON');
    await intruder.execute('alter table away rename to account');
    expectUnavailable(refused);
    expect((await post('not JSON')).status).toBe(400);
  });
});

/** The server may find the fault by itself too, when it cleans up; those lines do not count. */
function graphqlErrorsSince(linesBefore: number): string[] {
  return app.logLines.slice(linesBefore).filter((line) => {
    const { level, where, during } = JSON.parse(line);
    return level >= 50 && (where ?? during) === 'graphql';
  });
}

describe('GraphQL while the database fails', () => {
  test('answers STORAGE_UNAVAILABLE without detail when it does not answer in time, and says so once in the log', async () => {
    const linesBefore = app.logLines.length;
    const mutation = 'mutation ($email: EmailAddress!) { createAccount(input: { email: $email, name: "A" }) { id } }';
    await intruder.lock();
    const answers = await Promise.all(['a@b.example', 'b@b.example'].map((email) => app.graphql(mutation, { email })));
    await intruder.unlock();
    for (const { errors } of answers) {
      expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'STORAGE_UNAVAILABLE' }]);
      expect(JSON.stringify(errors)).not.toMatch(/sqlite|locked|busy|time-?out|insert|lock table/iu);
    }
    const logged = graphqlErrorsSince(linesBefore);
    expect(logged.map((line) => JSON.parse(line).msg)).toEqual(['storage failed']);
  }, 40_000);

  test('answers INTERNAL_SERVER_ERROR without detail to a fault that no waiting mends, and logs it as unexpected', async () => {
    const linesBefore = app.logLines.length;
    await intruder.execute('alter table account rename to away');
    const query = await app.graphql('{ accounts { nodes { id } } }');
    const mutation = await app.graphql('mutation { createAccount(input: { email: "a@b.example", name: "A" }) { id } }');
    await intruder.execute('alter table away rename to account');
    for (const { errors } of [query, mutation]) {
      expect(errors).toHaveLength(1);
      expect(errors?.[0]).toMatchObject({ message: 'Internal server error' });
      expect(errors?.[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR' });
    }
    const logged = graphqlErrorsSince(linesBefore);
    expect(logged).toHaveLength(2);
    expect(logged[0]).toMatch(/no such table|does not exist/u);
  });
});
