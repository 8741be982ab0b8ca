import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { numberedBatch, postBatch } from '../support/batch.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const AT_ONCE = 200;

interface Answer {
  readonly status: number;
  readonly eventId: string;
  readonly isDuplicate: boolean;
}

(TEST_DATABASE_URL === undefined ? describe.skip : describe)('two processes on PostgreSQL', () => {
  let database: TemporaryDatabase;
  let bench: Workbench;
  let servers: [ServerProcess, ServerProcess];
  let account: { id: string; token: string };

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL as string);
    bench = new Workbench();
    const variables = { DATABASE_URL: database.url, ENCRYPTION_KEY, SHUTDOWN_DELAY: '0s' };
    // One after the other, so that neither waits for the other's migrations.
    servers = [await bench.start(variables), await bench.start(variables)];
    account = await servers[0].createAccount();
  });

  afterEach(async () => {
    await bench.clear();
    await database.drop();
  });

  async function send(server: ServerProcess, key: string): Promise<Answer> {
    const response = await server.send(account.token, '{"a":1}', { 'Idempotency-Key': key });
    const { eventId, duplicate } = (await response.json()) as { eventId: string; duplicate?: boolean };
    return { status: response.status, eventId, isDuplicate: duplicate === true };
  }

  async function stored(): Promise<number> {
    const query = 'query ($id: ID!) { account(id: $id) { events { totalCount } } }';
    return (await servers[1].data(query, { id: account.id })).account.events.totalCount;
  }

  test('the same key at both at once: one event, and everyone learns its id', async () => {
    const receiver = await bench.receiver();
    await servers[0].createDestination(account.id, receiver.url());
    const sent = Array.from({ length: AT_ONCE }, (_, index) => send(servers[index % 2] as ServerProcess, 'k'));
    const answers = await Promise.all(sent);
    expect(servers.map(({ stderr }) => stderr).join('')).not.toContain('failed');
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ eventId }) => eventId)).size).toBe(1);
    expect(answers.filter(({ isDuplicate }) => !isDuplicate)).toHaveLength(1);
    expect(await stored()).toBe(1);
    await receiver.arrived(1);
  });

  test('the same batch at both at once: it is stored once, and everyone learns the ids of its events', async () => {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => {
        const { urls } = servers[index % 2] as ServerProcess;
        const headers = ['Idempotency-Key', 'k'];
        return postBatch(urls, { token: account.token, body: numberedBatch(100), headers });
      }),
    );
    expect(servers.map(({ stderr }) => stderr).join('')).not.toContain('failed');
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ json }) => JSON.stringify(json.events))).size).toBe(1);
    expect(answers.filter(({ json }) => json.duplicate !== true)).toHaveLength(1);
    expect(await stored()).toBe(100);
  });
});
